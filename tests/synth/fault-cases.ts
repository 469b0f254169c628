/** What is wrong, the spec below its two first lines, and every finding it gives. */
type Case = readonly [what: string, body: string, ...findings: string[]];

/** A container that is well so far, and left open. */
export const web = 'containers:\n  web: { image: "nginx:1", port: 8080';

export const faultCases: readonly Case[] = [
  ['an unknown field', `${web} }\nvolume: {}`, '5:1 volume: there is no field volume; did you mean volumes?'],
  [
    'an unknown field of a container',
    `${web}, enviroment: {} }`,
    '4:40 containers.web.enviroment: there is no field enviroment; known are image, like, command, args, env, secrets, files, mounts, scratch, dependsOn, resources, user, readOnlyRoot, port, ports, route, health, replicas, autoscale, stopSeconds',
  ],
  [
    'a field that is nearly one',
    `${web}, replica: 2 }`,
    '4:40 containers.web.replica: there is no field replica; did you mean replicas?',
  ],
  [
    'an unknown field in one form of several',
    `${web}, route: { pth: / } }`,
    '4:49 containers.web.route.pth: there is no field pth; did you mean path?',
  ],
  ['the wrong kind', 'kind2: x\ncontainers: {}', '3:1 kind2: there is no field kind2; did you mean kind?'],
  [
    'a service of no kind',
    'services: { db: postgress }',
    '3:13 services.db: it is "postgress"; wanted is one of postgres, pgvector, mysql, mariadb, mongodb, redis, valkey, rabbitmq, nats, memcached, minio, elasticsearch, opensearch, qdrant, or a map; did you mean postgres?',
  ],
  [
    'a service of no kind, said long',
    'services: { db: { kind: mysq } }',
    '3:19 services.db.kind: it is "mysq"; wanted is one of postgres, pgvector, mysql, mariadb, mongodb, redis, valkey, rabbitmq, nats, memcached, minio, elasticsearch, opensearch, qdrant; did you mean mysql?',
  ],
  [
    'text for a number',
    'containers:\n  web: { image: "nginx:1", port: "8080" }',
    '4:28 containers.web.port: it is "8080"; wanted is a number',
  ],
  [
    'a port beyond all',
    'containers:\n  web: { image: "nginx:1", port: 70000 }',
    '4:28 containers.web.port: it is 70000; the most is 65535',
  ],
  ['a list for a map', 'containers: [web]', '3:1 containers: it is a list; wanted is a map'],
  [
    'nothing to run',
    'containers: {}',
    '3:1 containers: there is nothing to run; name a container: web: { image: …, port: 8080 }',
  ],
  [
    'a name of no form',
    'containers:\n  Web_1: { image: "nginx:1" }',
    '4:3 containers.Web_1: the name "Web_1" is not valid: wanted is 2 to 20 characters: lower case letters, digits and single hyphens, a letter first',
  ],
  [
    'a reserved name',
    'containers:\n  pr-12: { image: "nginx:1" }',
    '4:3 containers.pr-12: pr-12 is reserved: names of the form pr-<digits> belong to previews',
  ],
  [
    'a container and a service of one name',
    `${web} }\nservices: { web: redis }`,
    '5:13 services.web: web is also one of the containers; each needs its own name',
  ],
  [
    'a container and a job of one name',
    `${web} }\njobs: { web: { image: "a:1" } }`,
    '5:9 jobs.web: web is also one of the containers; each needs its own name',
  ],
  [
    'a volume and the volume of a service of one name',
    `${web} }\nservices: { data: postgres }\nvolumes: { data: 1Gi }`,
    '5:13 services.data: its claim data is also the one of volume data; name another with claim: …',
  ],
  [
    'two services with one claim',
    'services:\n  one: { kind: redis, claim: main }\n  two: { kind: redis, claim: main }',
    '5:3 services.two: its claim main is also the one of service one; name another with claim: …',
  ],
  [
    'variables that meet after joining',
    'containers:\n  web: { image: "a:1", dependsOn: [shop, shop-public] }\n  shop: { image: "a:1", port: 80, route: / }\n  shop-public: { image: "a:1", port: 81 }',
    '4:24 containers.web.dependsOn: shop and shop-public both give SHOP_PUBLIC_URL; rename one of them',
  ],
  [
    'an image of no form',
    'containers:\n  web: { image: "Nginx:latest!" }',
    '4:10 containers.web.image: "Nginx:latest!" is no image; wanted is [host/]path[:tag][@digest] in lower case',
  ],
  [
    'an empty image',
    'containers:\n  web: { image: "" }',
    '4:10 containers.web.image: "" is no image; wanted is [host/]path[:tag][@digest] in lower case',
  ],
  [
    'a port used twice',
    `${web}, ports: { metrics: 8080 } }`,
    '4:49 containers.web.ports.metrics: port 8080 is used twice: by port and metrics',
  ],
  [
    'a port used twice among the named',
    `${web}, ports: { one: 9000, two: 9000 } }`,
    '4:60 containers.web.ports.two: port 9000 is used twice: by one and two',
  ],
  [
    'an unknown dependency',
    `${web}, dependsOn: [bd] }\nservices: { db: postgres }`,
    '4:52 containers.web.dependsOn[0]: there is no container, service or job bd; did you mean db?',
  ],
  [
    'a dependency on itself',
    `${web}, dependsOn: [web] }`,
    '4:52 containers.web.dependsOn[0]: web cannot wait for itself',
  ],
  [
    'a circle of dependencies',
    'containers:\n  aa: { image: "a:1", dependsOn: [bb] }\n  bb: { image: "a:1", dependsOn: [cc] }\njobs:\n  cc: { image: "a:1", dependsOn: [aa] }',
    '4:23 containers.aa.dependsOn: they wait for each other: aa → bb → cc → aa',
  ],
  [
    'a dependency on a cron job',
    `${web}, dependsOn: [tick] }\njobs: { tick: { image: "a:1", schedule: "* * * * *" } }`,
    '4:52 containers.web.dependsOn[0]: tick runs by schedule, so that it is never complete; only jobs without schedule can be waited for',
  ],
  [
    'an unknown volume',
    `${web}, mounts: { /data: dta } }\nvolumes: { data: 1Gi }`,
    '4:50 containers.web.mounts."/data": there is no volume dta; did you mean data?',
  ],
  [
    'a volume that nobody declares',
    `${web}, mounts: { /data: data } }`,
    '4:50 containers.web.mounts."/data": there is no volume data; say it in volumes',
  ],
  [
    'a mount below ..',
    `${web}, mounts: { /data/../etc: data } }\nvolumes: { data: 1Gi }`,
    '4:50 containers.web.mounts."/data/../etc": the name "/data/../etc" is not valid: wanted is an absolute path such as /data, without . or ..',
  ],
  [
    'two things at one path',
    `${web}, mounts: { /data: data }, scratch: [/data] }\nvolumes: { data: 1Gi }`,
    '4:75 containers.web.scratch[0]: /data is also one of the mounts',
  ],
  [
    'a route without a port',
    'containers:\n  web: { image: "a:1", route: / }',
    '4:24 containers.web.route: a route needs a port: say port: 8080 beside it',
  ],
  [
    'a route to a port that is not there',
    `${web}, route: { port: 9090 } }`,
    '4:49 containers.web.route.port: port 9090 is none of its ports (8080)',
  ],
  [
    'two routes in one place',
    `${web}, route: / }\n  api: { image: "a:1", port: 80, route: / }`,
    '5:34 containers.api.route: web already answers at shop--atlas.apps.localhost/; give one of them another path, or host: container',
  ],
  [
    'a path that could be configuration',
    `${web}, route: "/a;b{" }`,
    '4:40 containers.web.route: it is "/a;b{"; wanted is a path such as / or /api',
  ],
  [
    'a host of someone else',
    `${web}, route: { host: shop.example.com } }`,
    '4:49 containers.web.route.host: environment local does not list host shop.example.com for team atlas',
  ],
  [
    "a host below the environment's domain",
    `${web}, route: { host: other--team.apps.localhost } }`,
    '4:49 containers.web.route.host: environment local does not list host other--team.apps.localhost for team atlas',
  ],
  [
    'a wildcard host',
    `${web}, route: { host: "*.example.com" } }`,
    '4:49 containers.web.route.host: it is "*.example.com"; wanted is one of project, container, or a domain such as apps.example.com',
  ],
  [
    'access that nothing could guard',
    `${web}, route: { access: team } }`,
    '4:49 containers.web.route.access: environment local names no sign-in (ingress.auth) that could keep others out',
  ],
  [
    'more copies than the most',
    `${web}, autoscale: { min: 5, max: 2 } }`,
    '4:53 containers.web.autoscale.min: min 5 is more than max 2',
  ],
  [
    'copies said twice',
    `${web}, replicas: 2, autoscale: { max: 3 } }`,
    '4:40 containers.web.replicas: replicas and autoscale exclude each other; keep one',
  ],
  [
    'copies on one volume',
    `${web}, replicas: 2, mounts: { /d: data } }\nvolumes: { data: 1Gi }`,
    '4:40 containers.web.replicas: 2 copies cannot share volume data, which is ReadWriteOnce; keep one, or make it ReadWriteMany',
  ],
  [
    'an autoscaler on one volume',
    `${web}, autoscale: { max: 4 }, mounts: { /d: data } }\nvolumes: { data: 1Gi }`,
    '4:40 containers.web.autoscale: 4 copies cannot share volume data, which is ReadWriteOnce; keep one, or make it ReadWriteMany',
  ],
  [
    'a size of no form',
    `${web} }\nvolumes: { data: 1 GB }`,
    '5:12 volumes.data: it is "1 GB"; wanted is an amount with its unit such as 256Mi or 10Gi',
  ],
  [
    'memory of no form',
    `${web}, resources: { memory: lots } }`,
    '4:53 containers.web.resources.memory: it is "lots"; wanted is an amount with its unit such as 256Mi or 10Gi',
  ],
  [
    'a request above its limit',
    `${web}, resources: { cpu: "2", cpuLimit: 500m } }`,
    '4:53 containers.web.resources.cpu: cpu 2 is more than cpuLimit 500m',
  ],
  [
    'memory without a unit',
    `${web}, resources: { memory: 512 } }`,
    '4:53 containers.web.resources.memory: it is "512"; wanted is an amount with its unit such as 256Mi or 10Gi',
  ],
  [
    'memory in thousandths',
    `${web}, resources: { memory: 512m } }`,
    '4:53 containers.web.resources.memory: it is "512m"; wanted is an amount with its unit such as 256Mi or 10Gi',
  ],
  [
    'CPU of no form',
    `${web}, resources: { cpu: 2 cores } }`,
    '4:53 containers.web.resources.cpu: it is "2 cores"; wanted is an amount of CPU such as 2, 0.5 or 250m',
  ],
  [
    'a schedule of no form',
    `${web} }\njobs: { tick: { image: "a:1", schedule: "61 * * * *" } }`,
    '5:31 jobs.tick.schedule: "61 * * * *" is no schedule: minute is "61"; it goes from 0 to 59',
  ],
  [
    'a schedule of six fields',
    `${web} }\njobs: { tick: { image: "a:1", schedule: "0 0 * * * *" } }`,
    '5:31 jobs.tick.schedule: "0 0 * * * *" is no schedule: it has 6 fields; wanted are five: minute hour day month weekday',
  ],
  [
    'a time zone in the schedule',
    `${web} }\njobs: { tick: { image: "a:1", schedule: "TZ=UTC 0 0 * * *" } }`,
    '5:31 jobs.tick.schedule: "TZ=UTC 0 0 * * *" is no schedule: the time zone belongs into timeZone',
  ],
  [
    'a time zone without a schedule',
    `${web} }\njobs: { once: { image: "a:1", timeZone: UTC } }`,
    '5:31 jobs.once.timeZone: a time zone needs a schedule',
  ],
  [
    'a reserved variable',
    `${web}, env: { PLINTH_TEAM: other } }`,
    '4:47 containers.web.env.PLINTH_TEAM: PLINTH_TEAM is reserved; choose another name',
  ],
  [
    'a variable of no form',
    `${web}, env: { "A-B": x } }`,
    '4:47 containers.web.env.A-B: the name "A-B" is not valid: wanted is a variable: letters, digits and underscores, no digit first',
  ],
  [
    'a variable without a value',
    `${web}, env: { DEBUG: } }`,
    '4:47 containers.web.env.DEBUG: it is an empty value; wanted is text, or a map',
  ],
  [
    'variables in a circle',
    `${web}, env: { A: $(B), B: $(A) } }`,
    '4:47 containers.web.env.A: variables name each other in a circle: A → B → A',
  ],
  [
    'a generated secret',
    `${web}, env: { PW: { secret: db-password } } }\nservices: { db: postgres }`,
    '4:53 containers.web.env.PW.secret: db-password is generated for db: dependsOn: [db] gives it as a variable',
  ],
  [
    'a reserved secret',
    `${web}, secrets: [cluster-production] }`,
    '4:50 containers.web.secrets[0]: secrets that begin with plinth- or cluster- are reserved',
  ],
  [
    'a secret and a variable of one name',
    `${web}, env: { API_KEY: x }, secrets: [api-key] }`,
    '4:71 containers.web.secrets[0]: api-key becomes API_KEY, which env sets already',
  ],
  [
    'a variable that the catalogue sets',
    'services: { db: { kind: postgres, env: { POSTGRES_PASSWORD: x } } }',
    '3:42 services.db.env.POSTGRES_PASSWORD: POSTGRES_PASSWORD is set by the catalogue; choose another',
  ],
  ['root', `${web}, user: 0 }`, '4:40 containers.web.user: user 0 is root, which podSecurity restricted refuses'],
  [
    'baseline where it is not allowed',
    `podSecurity: baseline\n${web} }`,
    '3:1 podSecurity: environment local allows only restricted',
  ],
  [
    'a reserved label',
    `labels: { plinth.dev/team: other, app.kubernetes.io/name: x }\n${web} }`,
    '3:11 labels."plinth.dev/team": labels of plinth.dev are reserved',
    '3:35 labels."app.kubernetes.io/name": labels of app.kubernetes.io are reserved',
  ],
  [
    'a label of no form',
    `labels: { "a b": x, ok: "a b" }\n${web} }`,
    '3:11 labels."a b": "a b" is no label; wanted is one such as cost-centre or acme.com/owner',
    '3:21 labels.ok: "a b" is no label value: at most 63 letters, digits, -, _ and ., not at the ends',
  ],
  [
    'egress that nobody lists',
    `${web} }\nnetwork: { egress: [{ cidr: 10.0.0.0/8 }] }`,
    '5:23 network.egress[0].cidr: environment local does not list 10.0.0.0/8 in network.egress; it lists none',
  ],
  [
    'egress that holds more than it may',
    `${web} }\nnetwork: { egress: [{ cidr: 0.0.0.0/0 }] }`,
    '5:23 network.egress[0].cidr: environment local does not list 0.0.0.0/0 in network.egress; it lists none',
  ],
  [
    'a range that begins elsewhere',
    `${web} }\nnetwork: { egress: [{ cidr: 10.1.2.3/8 }] }`,
    '5:23 network.egress[0].cidr: 10.1.2.3/8 begins at 10.0.0.0/8; write that',
  ],
  [
    'a `like` that leads nowhere',
    `${web} }\n  two: { like: wep }`,
    '5:10 containers.two.like: there is no container wep; did you mean web?',
  ],
  [
    'a `like` that leads on',
    `${web} }\n  two: { like: web }\n  three: { like: two }`,
    '6:12 containers.three.like: two is itself like web; name that',
  ],
  [
    'more storage than the quota',
    `${web} }\nvolumes: { one: 60Gi, two: 60Gi }`,
    '5:1 volumes: volumes add up to 120Gi; environment local allows 100Gi a project',
  ],
  [
    'more CPU than the quota',
    `${web}, replicas: 9 }`,
    '3:1 containers: CPU limits add up to 9; environment local allows 8 a project',
  ],
  [
    'a project that is none',
    `dependsOn: [shop, Shop/database, dev/shop/database]\n${web} }`,
    '3:13 dependsOn[0]: it is "shop"; wanted is a project of the same environment as team/project, such as shop/database',
    '3:19 dependsOn[1]: it is "Shop/database"; wanted is a project of the same environment as team/project, such as shop/database',
    '3:34 dependsOn[2]: it is "dev/shop/database"; wanted is a project of the same environment as team/project, such as shop/database',
  ],
  [
    'a project that waits for itself',
    `dependsOn: [data/warehouse, atlas/shop]\n${web} }`,
    '3:29 dependsOn[1]: atlas/shop is this project; it cannot wait for itself',
  ],
  [
    'too many projects to wait for',
    `dependsOn: [${Array.from({ length: 21 }, (_, i) => `data/db-${i}`).join(', ')}]\n${web} }`,
    '3:1 dependsOn: it is 21 entries long; the most is 20',
  ],
  [
    'a mode that is none',
    `reconcile: { mode: ignore }\n${web} }`,
    '3:14 reconcile.mode: it is "ignore"; wanted is one of heal, warn, detect',
  ],
  [
    'a check without a port',
    'containers:\n  web: { image: "a:1", health: /ok }',
    '4:24 containers.web.health: an HTTP check needs a port: say port beside it',
  ],
  [
    'a check of two kinds',
    `${web}, health: { path: /, command: [x] } }`,
    '4:40 containers.web.health: path and command exclude each other; keep one',
  ],
];
