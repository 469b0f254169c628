import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Clock, systemClock } from '#base/clock.ts';
import { Fault } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import { createListener, notify } from '#database/listen.ts';
import { migrate } from '#database/migrate.ts';
import { captureLog } from '#support/captured-log.ts';
import { silent } from '#support/git.ts';
import { createTestAuth } from '#support/people.ts';
import { useDatabase } from '#support/postgres.ts';
import { openPostgresPort } from '#support/postgres-port.ts';
import { connect, faultOf, handOut, open, urlOf } from './handed-out.ts';

const db = useDatabase();
const { handedOut, openPort, inside } = handOut(db);

describe('an external database, by a role without any privilege but its own database', () => {
  test('pool, migrations and notices work with it, by TCP and by socket', async () => {
    const name = await handedOut();
    const { port } = await openPort();
    const connection = await connect(urlOf(name, port));
    expect(connection).toMatchObject({ host: '127.0.0.1', port, user: name, database: name });
    expect(connection.tls).toBe(undefined);
    const database = open(connection);
    expect((await migrate({ database, log: silent })).length).toBeGreaterThan(3);
    const { rows } = await database.query(
      'select current_user as role, rolsuper as super from pg_roles where rolname = current_user',
    );
    expect(rows).toEqual([{ role: name, super: false }]);

    const { host, port: socketPort } = db.connection;
    const bySocket = urlOf(name, socketPort, `?host=${encodeURIComponent(host)}`);
    const other = open(await connect(bySocket));
    expect(await migrate({ database: other, log: silent })).toEqual([]);

    const came: string[] = [];
    const listener = createListener({
      connection,
      channels: ['changes'],
      log: silent,
      clock: systemClock,
      onNotice: (channel, payload) => came.push(`${channel} ${payload}`),
      onGap: () => came.push('gap'),
    });
    onTestFinished(() => listener.stop());
    await expect.poll(() => came, { interval: 5, timeout: 10_000 }).toEqual(['gap']);
    await notify(other, 'changes', 'chg_1');
    await expect.poll(() => came, { interval: 5, timeout: 10_000 }).toEqual(['gap', 'changes chg_1']);
  });

  test('two replicas that start at once both come up; each migration is applied by one', async () => {
    const name = await handedOut();
    const { port } = await openPort();
    const replica = async () => {
      const database = open(await connect(urlOf(name, port)));
      const applied = await migrate({ database, log: silent });
      await createTestAuth(database);
      return applied;
    };
    const [one, two] = await Promise.all([replica(), replica()]);
    const all = [...one, ...two].sort();
    expect(all.length).toBeGreaterThan(3);
    expect(new Set(all).size).toBe(all.length);
  });

  test('settings of the session hold, and those of the environment do not', async () => {
    const name = await handedOut();
    const { port } = await openPort();
    process.env.PGOPTIONS = '-c search_path=pg_catalog';
    process.env.PGSSLMODE = 'require';
    onTestFinished(() => {
      delete process.env.PGOPTIONS;
      delete process.env.PGSSLMODE;
    });
    await inside(name, `create schema plinth authorization ${name}`);
    const database = open(await connect(urlOf(name, port, '?options=-c%20search_path%3Dplinth')));
    await migrate({ database, log: silent });
    const { rows } = await database.query("select schemaname from pg_tables where tablename = 'migrations'");
    expect(rows).toEqual([{ schemaname: 'plinth' }]);
  });
});

describe('what a person must mend is said at once', () => {
  let tries = 0;
  /** A clock by which nobody waits: whoever tries again is found out. */
  const impatient: Clock = {
    ...systemClock,
    sleep: () => {
      tries += 1;
      return Promise.reject(new Error('it waited'));
    },
  };

  test('a wrong password', async () => {
    const name = await handedOut();
    const { port } = await openPort();
    const fault = await faultOf(connect(urlOf(name, port, '', 'canary'), { clock: impatient }));
    expect(fault.code).toBe('DATABASE_REFUSED');
    expect(fault.message).toBe(
      `The database ${name} at 127.0.0.1, port ${port}, cannot be used: password authentication failed for user "${name}". Correct user and password in DATABASE_URL.`,
    );
  });

  test('no password where one is wanted', async () => {
    const name = await handedOut();
    const { port } = await openPort();
    const url = new Secret(`postgresql://${name}@127.0.0.1:${port}/${name}`);
    expect((await faultOf(connect(url, { clock: impatient }))).data.fix).toBe(
      'Correct user and password in DATABASE_URL.',
    );
  });

  test('a database that is not there', async () => {
    const name = await handedOut();
    const { port } = await openPort();
    const url = new Secret(
      urlOf(name, port)
        .reveal()
        .replace(/\/handed_\w+$/, '/nowhere'),
    );
    const fault = await faultOf(connect(url, { clock: impatient, setting: 'POSTGRES_DB' }));
    expect(fault.message).toBe(
      `The database nowhere at 127.0.0.1, port ${port}, cannot be used: database "nowhere" does not exist. An administrator runs: create database "nowhere" owner "${name}";`,
    );
  });

  test('a role that may not make schemas, or tables', async () => {
    const name = await handedOut({ owner: false });
    const { port } = await openPort();
    const fix = async () => (await faultOf(connect(urlOf(name, port), { clock: impatient }))).data.fix;
    expect(await fix()).toBe(`An administrator runs: grant create on database "${name}" to "${name}";`);
    await db.database.query(`grant create on database ${name} to ${name}`);
    expect(await fix()).toBe(`An administrator runs in that database: grant create on schema "public" to "${name}";`);
    await inside(name, `grant create on schema public to ${name}`);
    const database = open(await connect(urlOf(name, port)));
    expect((await migrate({ database, log: silent })).length).toBeGreaterThan(3);
  });

  test('a database of something else, whose schema auth is taken', async () => {
    const name = await handedOut();
    const { port } = await openPort();
    await inside(name, 'create schema auth');
    const { why, fix } = (await faultOf(connect(urlOf(name, port), { clock: impatient }))).data;
    expect({ why, fix }).toEqual({
      why: 'its schema auth belongs to something else',
      fix: 'Give Plinth a database of its own.',
    });
  });

  test('an encoding that cannot hold what people write', async () => {
    const name = await handedOut({ more: "encoding 'SQL_ASCII' locale 'C'" });
    const { port } = await openPort();
    expect((await faultOf(connect(urlOf(name, port), { clock: impatient }))).data.why).toBe(
      'its encoding is SQL_ASCII',
    );
  });

  test('a server that is too old', async () => {
    // The version is the server's own setting, which a superuser's session cannot change: the search path can hide it.
    const name = await handedOut();
    const { port } = await openPort();
    await inside(
      name,
      `create schema fake; grant usage on schema fake to ${name};
       create function fake.current_setting(text) returns text language sql as
         $$ select case $1 when 'server_version_num' then '140012' when 'server_version' then '14.12'
            else pg_catalog.current_setting($1) end $$;
       alter role ${name} set search_path = fake, pg_catalog, public`,
    );
    const { why, fix } = (await faultOf(connect(urlOf(name, port), { clock: impatient }))).data;
    expect({ why, fix }).toEqual({ why: 'it is PostgreSQL 14.12', fix: 'Upgrade the server to 15 or newer.' });
  });

  test('a pooler that takes no settings of a session', async () => {
    // What PgBouncer answers to statement_timeout, byte by byte.
    const fields = ['SFATAL', 'C08P01', 'Munsupported startup parameter: statement_timeout'];
    const body = Buffer.from(`${fields.join('\0')}\0\0`);
    const length = Buffer.alloc(4);
    length.writeInt32BE(body.length + 4);
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(Buffer.concat([Buffer.from('E'), length, body])));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.close();
    });
    const { port } = server.address() as AddressInfo; // a listening TCP server has one
    const { why, fix } = (await faultOf(connect(urlOf('user', port, '?sslmode=disable'), { clock: impatient }))).data;
    expect({ why, fix }).toEqual({
      why: 'unsupported startup parameter: statement_timeout',
      fix: 'Name the server itself in DATABASE_URL, or a pooler in session mode that takes settings of a session (PgBouncer: ignore_startup_parameters).',
    });
  });

  test('what is no PostgreSQL at all', async () => {
    const server = createHttpServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.close();
    });
    const { port } = server.address() as AddressInfo; // a listening TCP server has one
    const fault = await faultOf(connect(urlOf('user', port), { clock: impatient }));
    expect(fault.data.why).toBe('There was an error establishing an SSL connection');
  });

  test('nothing of these was tried again', () => {
    expect(tries).toBe(0);
  });
});

describe('what waiting may mend is waited for', () => {
  test('a server that comes up late', async () => {
    const name = await handedOut();
    const first = await openPostgresPort(db.connection);
    const { port } = first;
    await first.close();
    const { log, lines } = captureLog();
    const connecting = connect(urlOf(name, port), { log });
    await expect.poll(() => lines().length, { interval: 5 }).toBe(1);
    const late = await openPostgresPort(db.connection, { port });
    onTestFinished(() => late.close());
    expect(await connecting).toMatchObject({ port });
    expect(lines().map(({ level, msg, host, reason }) => ({ level, msg, host, reason }))).toEqual([
      {
        level: 'warn',
        msg: 'the database does not answer; it is tried again',
        host: '127.0.0.1',
        reason: `connect ECONNREFUSED 127.0.0.1:${port}`,
      },
      { level: 'info', msg: 'the database answers', host: '127.0.0.1', reason: undefined },
    ]);
    expect(JSON.stringify(lines())).not.toContain('canary');
  });

  test('a standby, until it takes writes', async () => {
    const name = await handedOut();
    await db.database.query(`alter role ${name} set default_transaction_read_only = on`);
    const { port } = await openPort();
    const { log, lines } = captureLog();
    const connecting = connect(urlOf(name, port), { log });
    await expect.poll(() => lines()[0]?.reason, { interval: 5 }).toBe('it is read-only, as a standby is');
    await db.database.query(`alter role ${name} reset default_transaction_read_only`);
    expect(await connecting).toMatchObject({ user: name });
  });

  test('for 60 s, and then the fault names host, port and database', async () => {
    let nowMs = 0;
    const sleeps: number[] = [];
    const clock: Clock = {
      now: () => new Date(),
      monotonicMs: () => nowMs,
      sleep: async (ms) => {
        sleeps.push(ms);
        nowMs += ms;
      },
    };
    const { log, lines } = captureLog();
    const url = new Secret('postgresql://user:canary@127.0.0.1:9/plinth');
    const fault = await faultOf(connect(url, { clock, log }));
    expect(fault.message).toBe(
      'The database plinth at 127.0.0.1, port 9, cannot be reached; it was tried for 60 s: connect ECONNREFUSED 127.0.0.1:9. Start it, or correct DATABASE_URL. No other database is used in its place.',
    );
    expect(nowMs).toBe(60_000);
    expect(Math.max(...sleeps)).toBe(2_000);
    expect(lines().length).toBe(6);
  });

  test('a host that no name server knows, and one of two addresses', async () => {
    const why = async (host: string) =>
      (await faultOf(connect(new Secret(`postgresql://user:canary@${host}:9/plinth`), { limitMs: 50 }))).data.why;
    expect(await why('nowhere.invalid')).toMatch(/^getaddrinfo (ENOTFOUND|EAI_AGAIN) nowhere\.invalid$/);
    expect(await why('localhost')).toContain('connect ECONNREFUSED 127.0.0.1:9');
  });

  test('a server that takes the connection and says nothing', async () => {
    const silentServer = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
    onTestFinished(() => {
      silentServer.close();
    });
    await once(silentServer, 'listening');
    const { port } = silentServer.address() as AddressInfo; // a listening TCP server has one
    const fault = await faultOf(connect(urlOf('user', port), { limitMs: 200 }));
    expect({ code: fault.code, why: fault.data.why }).toEqual({ code: 'DATABASE_UNREACHABLE', why: 'timeout expired' });
  });

  test('a stop ends the waiting, and the try that is under way', async () => {
    const taken = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
    await once(taken, 'listening');
    onTestFinished(() => {
      taken.close();
    });
    const { port } = taken.address() as AddressInfo; // a listening TCP server has one
    for (const at of [9, port]) {
      const stopping = new AbortController();
      const connecting = faultOf(connect(urlOf('user', at), { signal: stopping.signal }));
      if (at === port) await once(taken, 'connection');
      stopping.abort(new Fault('STOPPING'));
      expect((await connecting).code).toBe('STOPPING');
    }
  });
});
