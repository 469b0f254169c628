import { z } from 'zod';

/** What a consumer learns about a service; each becomes `<SERVICE>_<FIELD>` and conventional names. */
type Field = 'url' | 'host' | 'port' | 'user' | 'password' | 'database';

/** How one kind of service runs under Pod Security `restricted`, and how others reach it. */
export interface CatalogueEntry {
  readonly about: string;
  /** `{version}` is filled in. */
  readonly image: string;
  /** Never changed within plinth.dev/v1 where it keeps data: another major version could not read the volume. */
  readonly version: string;
  readonly port: number;
  readonly morePorts?: Readonly<Record<string, number>>;
  /** Numeric, so that the kubelet can see that it is not root. */
  readonly user: number;
  readonly group: number;
  /** Where it keeps data; absent: it keeps none. `subPath` hides lost+found from servers that want an empty folder. */
  readonly data?: { readonly path: string; readonly subPath?: string };
  readonly readOnlyRoot: boolean;
  readonly scratch: readonly string[];
  /** Shared memory beyond the 64 MiB that containers get. */
  readonly sharedMemory?: boolean;
  readonly env: Readonly<Record<string, string>>;
  /** Generated secrets: suffix of the secret's name → variable of the server. `password` is the one consumers get. */
  readonly secrets: Readonly<Record<string, string>>;
  /** `$(NAME)` is expanded by Kubernetes from the environment above. */
  readonly args?: readonly string[];
  readonly health: { readonly command?: readonly string[]; readonly path?: string; readonly port?: number };
  readonly resources: {
    readonly cpu: string;
    readonly memory: string;
    readonly cpuLimit: string;
    readonly memoryLimit: string;
  };
  readonly userName?: string;
  readonly database?: string;
  /** `{host}` `{port}` `{user}` `{password}` `{database}` are filled in; the password by a `$(NAME)` expansion. */
  readonly url: string;
  /** Variables under the names that libraries look for. */
  readonly variables: Readonly<Record<string, Field>>;
}

const small = { cpu: '50m', memory: '64Mi', cpuLimit: '1', memoryLimit: '256Mi' };
const medium = { cpu: '100m', memory: '256Mi', cpuLimit: '1', memoryLimit: '1Gi' };
const large = { cpu: '200m', memory: '1Gi', cpuLimit: '2', memoryLimit: '2Gi' };

const postgresVariables = {
  DATABASE_URL: 'url',
  PGHOST: 'host',
  PGPORT: 'port',
  PGUSER: 'user',
  PGPASSWORD: 'password',
  PGDATABASE: 'database',
  POSTGRES_HOST: 'host',
  POSTGRES_PORT: 'port',
  POSTGRES_USER: 'user',
  POSTGRES_PASSWORD: 'password',
  POSTGRES_DB: 'database',
} as const;

const postgres: CatalogueEntry = {
  about: 'PostgreSQL',
  image: 'postgres:{version}',
  version: '18',
  port: 5432,
  user: 999,
  group: 999,
  // Not …/data: images from 18 on refuse to start when something is mounted there.
  data: { path: '/var/lib/postgresql' },
  readOnlyRoot: true,
  scratch: ['/tmp', '/var/run/postgresql'],
  sharedMemory: true,
  env: { PGDATA: '/var/lib/postgresql/pgdata', POSTGRES_DB: 'app', POSTGRES_USER: 'app' },
  secrets: { password: 'POSTGRES_PASSWORD' },
  // Over TCP: while the database is made, the server answers on its socket only.
  health: { command: ['pg_isready', '--host=127.0.0.1', '--username=app', '--dbname=app'] },
  resources: medium,
  userName: 'app',
  database: 'app',
  url: 'postgresql://{user}:{password}@{host}:{port}/{database}',
  variables: postgresVariables,
};

const mysql: CatalogueEntry = {
  about: 'MySQL',
  image: 'mysql:{version}',
  version: '8.4',
  port: 3306,
  user: 999,
  group: 999,
  data: { path: '/var/lib/mysql', subPath: 'data' },
  readOnlyRoot: true,
  scratch: ['/tmp', '/var/lib/mysql-files', '/var/run/mysqld'],
  env: { MYSQL_DATABASE: 'app', MYSQL_USER: 'app' },
  secrets: { password: 'MYSQL_PASSWORD', 'root-password': 'MYSQL_ROOT_PASSWORD' },
  health: { command: ['mysqladmin', 'ping', '--host=127.0.0.1'] },
  resources: { ...medium, memory: '512Mi' },
  userName: 'app',
  database: 'app',
  url: 'mysql://{user}:{password}@{host}:{port}/{database}',
  variables: {
    DATABASE_URL: 'url',
    MYSQL_HOST: 'host',
    MYSQL_PORT: 'port',
    MYSQL_USER: 'user',
    MYSQL_PASSWORD: 'password',
    MYSQL_DATABASE: 'database',
  },
};

const redis: CatalogueEntry = {
  about: 'Redis, with an append-only file',
  image: 'redis:{version}',
  version: '8',
  port: 6379,
  user: 999,
  group: 999,
  data: { path: '/data' },
  readOnlyRoot: true,
  scratch: ['/tmp'],
  env: {},
  secrets: { password: 'REDIS_PASSWORD' },
  args: ['redis-server', '--dir', '/data', '--appendonly', 'yes', '--requirepass', '$(REDIS_PASSWORD)'],
  health: { command: ['sh', '-c', 'redis-cli --no-auth-warning -a "$REDIS_PASSWORD" ping | grep -q PONG'] },
  resources: small,
  userName: 'default',
  url: 'redis://{user}:{password}@{host}:{port}',
  variables: { REDIS_URL: 'url', REDIS_HOST: 'host', REDIS_PORT: 'port', REDIS_PASSWORD: 'password' },
};

/** The services that a spec may ask for by kind. */
export const catalogue = {
  postgres,
  pgvector: { ...postgres, about: 'PostgreSQL with pgvector', image: 'pgvector/pgvector:pg{version}' },
  mysql,
  mariadb: {
    ...mysql,
    about: 'MariaDB',
    image: 'mariadb:{version}',
    version: '11.8',
    scratch: ['/tmp', '/run/mysqld'],
    env: { MARIADB_DATABASE: 'app', MARIADB_USER: 'app' },
    secrets: { password: 'MARIADB_PASSWORD', 'root-password': 'MARIADB_ROOT_PASSWORD' },
    health: { command: ['mariadb-admin', 'ping', '--host=127.0.0.1'] },
    resources: medium,
  },
  mongodb: {
    about: 'MongoDB',
    image: 'mongo:{version}',
    version: '8.0',
    port: 27017,
    user: 999,
    group: 999,
    data: { path: '/data/db', subPath: 'data' },
    readOnlyRoot: true,
    scratch: ['/data/configdb', '/tmp'],
    env: { HOME: '/tmp', MONGO_INITDB_DATABASE: 'app', MONGO_INITDB_ROOT_USERNAME: 'app' },
    secrets: { password: 'MONGO_INITDB_ROOT_PASSWORD' },
    // By TCP: while users are made, the server listens on loopback only.
    health: {},
    resources: medium,
    userName: 'app',
    database: 'app',
    url: 'mongodb://{user}:{password}@{host}:{port}/{database}?authSource=admin',
    variables: {
      MONGODB_URL: 'url',
      MONGODB_URI: 'url',
      MONGODB_HOST: 'host',
      MONGODB_PORT: 'port',
      MONGODB_USER: 'user',
      MONGODB_PASSWORD: 'password',
      MONGODB_DATABASE: 'database',
    },
  },
  redis,
  valkey: {
    ...redis,
    about: 'Valkey, with an append-only file; answers to the Redis protocol',
    image: 'valkey/valkey:{version}',
    version: '8',
    secrets: { password: 'VALKEY_PASSWORD' },
    args: ['valkey-server', '--dir', '/data', '--appendonly', 'yes', '--requirepass', '$(VALKEY_PASSWORD)'],
    health: { command: ['sh', '-c', 'valkey-cli --no-auth-warning -a "$VALKEY_PASSWORD" ping | grep -q PONG'] },
    variables: { ...redis.variables, VALKEY_URL: 'url' },
  },
  rabbitmq: {
    about: 'RabbitMQ with its management page on 15672',
    image: 'rabbitmq:{version}-management',
    version: '4',
    port: 5672,
    morePorts: { management: 15672 },
    user: 999,
    group: 999,
    data: { path: '/var/lib/rabbitmq/mnesia', subPath: 'data' },
    readOnlyRoot: true,
    // The home folder is scratch: the cookie in it must be its owner's alone, which a volume's group would undo.
    scratch: ['/tmp', '/var/lib/rabbitmq', '/var/log/rabbitmq'],
    env: { RABBITMQ_DEFAULT_USER: 'app', RABBITMQ_NODENAME: 'rabbit@localhost' },
    secrets: { password: 'RABBITMQ_DEFAULT_PASS' },
    health: {},
    resources: { ...medium, memoryLimit: '768Mi' },
    userName: 'app',
    url: 'amqp://{user}:{password}@{host}:{port}',
    variables: {
      AMQP_URL: 'url',
      RABBITMQ_URL: 'url',
      RABBITMQ_HOST: 'host',
      RABBITMQ_PORT: 'port',
      RABBITMQ_USER: 'user',
      RABBITMQ_PASSWORD: 'password',
    },
  },
  nats: {
    about: 'NATS with JetStream',
    image: 'nats:{version}',
    version: '2',
    port: 4222,
    morePorts: { monitor: 8222 },
    user: 1000,
    group: 1000,
    data: { path: '/data' },
    readOnlyRoot: true,
    scratch: [],
    env: {},
    secrets: { password: 'NATS_PASSWORD' },
    args: ['--jetstream', '--store_dir=/data', '--http_port=8222', '--user=app', '--pass=$(NATS_PASSWORD)'],
    health: { path: '/healthz', port: 8222 },
    resources: small,
    userName: 'app',
    url: 'nats://{user}:{password}@{host}:{port}',
    variables: { NATS_URL: 'url', NATS_HOST: 'host', NATS_PORT: 'port', NATS_USER: 'user', NATS_PASSWORD: 'password' },
  },
  memcached: {
    about: 'Memcached; keeps nothing and has no password, so the network policies are its only guard',
    image: 'memcached:{version}',
    version: '1.6',
    port: 11211,
    user: 11211,
    group: 11211,
    readOnlyRoot: true,
    scratch: [],
    env: {},
    secrets: {},
    health: {},
    resources: { ...small, memory: '96Mi' },
    url: 'memcached://{host}:{port}',
    variables: { MEMCACHED_URL: 'url', MEMCACHED_HOST: 'host', MEMCACHED_PORT: 'port' },
  },
  minio: {
    about: 'MinIO, an S3 store, with its console on 9001',
    image: 'minio/minio:{version}',
    version: 'RELEASE.2025-09-07T16-13-09Z',
    port: 9000,
    morePorts: { console: 9001 },
    user: 1000,
    group: 1000,
    data: { path: '/data' },
    readOnlyRoot: true,
    scratch: ['/tmp'],
    env: { HOME: '/tmp', MINIO_ROOT_USER: 'app' },
    secrets: { password: 'MINIO_ROOT_PASSWORD' },
    args: ['server', '/data', '--console-address', ':9001'],
    health: { path: '/minio/health/ready' },
    resources: medium,
    userName: 'app',
    url: 'http://{host}:{port}',
    variables: {
      S3_ENDPOINT: 'url',
      AWS_ENDPOINT_URL_S3: 'url',
      AWS_ACCESS_KEY_ID: 'user',
      AWS_SECRET_ACCESS_KEY: 'password',
      MINIO_ENDPOINT: 'url',
      MINIO_ACCESS_KEY: 'user',
      MINIO_SECRET_KEY: 'password',
    },
  },
  elasticsearch: {
    about: 'Elasticsearch, one node',
    image: 'elasticsearch:{version}',
    version: '9.1.0',
    port: 9200,
    user: 1000,
    // The image gives its configuration to group 0, and writes its keystore beside it.
    group: 0,
    data: { path: '/usr/share/elasticsearch/data', subPath: 'data' },
    readOnlyRoot: false,
    scratch: ['/tmp'],
    env: {
      ES_JAVA_OPTS: '-Xms512m -Xmx512m',
      'discovery.type': 'single-node',
      // Mapped memory needs a setting of the node that a project cannot make.
      'node.store.allow_mmap': 'false',
      'xpack.security.enabled': 'true',
      'xpack.security.http.ssl.enabled': 'false',
    },
    secrets: { password: 'ELASTIC_PASSWORD' },
    health: {},
    resources: large,
    userName: 'elastic',
    url: 'http://{user}:{password}@{host}:{port}',
    variables: {
      ELASTICSEARCH_URL: 'url',
      ELASTICSEARCH_HOST: 'host',
      ELASTICSEARCH_PORT: 'port',
      ELASTICSEARCH_USERNAME: 'user',
      ELASTICSEARCH_PASSWORD: 'password',
    },
  },
  opensearch: {
    about: 'OpenSearch, one node, without a password, so the network policies are its only guard',
    image: 'opensearchproject/opensearch:{version}',
    version: '3.1.0',
    port: 9200,
    user: 1000,
    group: 1000,
    data: { path: '/usr/share/opensearch/data', subPath: 'data' },
    readOnlyRoot: false,
    scratch: ['/tmp'],
    env: {
      DISABLE_INSTALL_DEMO_CONFIG: 'true',
      // Its own passwords come with self-signed certificates that no client takes.
      DISABLE_SECURITY_PLUGIN: 'true',
      OPENSEARCH_JAVA_OPTS: '-Xms512m -Xmx512m',
      'discovery.type': 'single-node',
      'node.store.allow_mmap': 'false',
    },
    secrets: {},
    health: { path: '/_cluster/health' },
    resources: large,
    url: 'http://{host}:{port}',
    variables: { OPENSEARCH_URL: 'url', OPENSEARCH_HOST: 'host', OPENSEARCH_PORT: 'port' },
  },
  qdrant: {
    about: 'Qdrant, a vector store; gRPC on 6334',
    image: 'qdrant/qdrant:{version}-unprivileged',
    version: 'v1.15.1',
    port: 6333,
    morePorts: { grpc: 6334 },
    user: 1000,
    group: 1000,
    data: { path: '/qdrant/storage', subPath: 'data' },
    readOnlyRoot: true,
    scratch: ['/qdrant/init', '/qdrant/snapshots', '/tmp'],
    env: { QDRANT_INIT_FILE_PATH: '/qdrant/init/.qdrant-initialized' },
    secrets: { password: 'QDRANT__SERVICE__API_KEY' },
    health: { path: '/readyz' },
    resources: medium,
    url: 'http://{host}:{port}',
    variables: { QDRANT_URL: 'url', QDRANT_HOST: 'host', QDRANT_PORT: 'port', QDRANT_API_KEY: 'password' },
  },
} as const satisfies Record<string, CatalogueEntry>;

export type ServiceKind = keyof typeof catalogue;

// The keys of an object literal are its kinds; Object.keys has forgotten that.
const kinds = Object.keys(catalogue) as [ServiceKind, ...ServiceKind[]];

export const serviceKind = z.enum(kinds).describe(
  `What it is. ${Object.entries(catalogue)
    .map(([kind, { about }]) => `${kind}: ${about}`)
    .join('. ')}.`,
);

/** The entry of a kind, without the narrow types of the literal. */
export const entryOf = (kind: ServiceKind): CatalogueEntry => catalogue[kind];
