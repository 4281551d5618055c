// BullMQ: `node work.mjs worker N` works on up to N jobs at once, `node work.mjs send` plans and enqueues.
// The same statements as ../work.py and ../sending.py. Jobs are added in bulk and removed when they are done.

import { Queue, Worker } from 'bullmq';
import IORedis from 'ioredis';
import pg from 'pg';

const [START, END, BATCH] = [7001, 7002, 1000];
const { BENCH_DATABASE_URL, BENCH_REDIS_URL, BENCH_CAMPAIGN_ID, BENCH_ORG_ID } = process.env;
const connection = new IORedis(BENCH_REDIS_URL, { maxRetriesPerRequest: null });

const claim = {
  name: 'claim',
  text: `UPDATE recipient SET automation_status = 'in_progress', execution_id = gen_random_uuid(),
      attempt = attempt + 1, updated_at = clock_timestamp()
    FROM entity
    WHERE campaign_id = $1 AND entity_id = $2 AND automation_status <> 'success' AND entity.id = entity_id
    RETURNING attributes`,
};
const settle = {
  name: 'settle',
  text: `UPDATE recipient SET automation_status = 'success', sent_at = clock_timestamp(),
      updated_at = clock_timestamp()
    WHERE campaign_id = $1 AND entity_id = $2`,
};
const plan = `INSERT INTO recipient (campaign_id, entity_id, org_id, entity_schema, title, job_id, slice_number,
      automation_status, attempt, in_flight, created_at, updated_at)
    SELECT $1, id, org_id, schema, title, gen_random_uuid(), 0, 'pending', 0, false, now(), now()
    FROM entity WHERE org_id = $2
    RETURNING entity_id::text`;

function render({ first_name, last_name, city }) {
  return {
    subject: `Hello ${first_name}`,
    text: `Dear ${first_name} ${last_name},\n\nthere is news in ${city}.\n`,
  };
}

async function work(concurrency) {
  const pool = new pg.Pool({ connectionString: BENCH_DATABASE_URL, max: Math.min(concurrency, 20) });
  const worker = new Worker(
    'deliver',
    async ({ data: [campaign, entity] }) => {
      const { rows } = await pool.query({ ...claim, values: [campaign, entity] });
      if (rows.length) {
        render(rows[0].attributes);
        await pool.query({ ...settle, values: [campaign, entity] });
      }
    },
    { connection, concurrency, removeOnComplete: { count: 0 } },
  );
  await worker.waitUntilReady();
  console.log('worker is ready');
}

async function send() {
  const client = new pg.Client({ connectionString: BENCH_DATABASE_URL });
  await client.connect();
  const queue = new Queue('deliver', { connection, defaultJobOptions: { removeOnComplete: true, attempts: 3 } });
  await queue.waitUntilReady();
  console.log('ready to send');
  await client.query('SELECT pg_advisory_lock($1)', [START]);
  const { rows } = await client.query(plan, [BENCH_CAMPAIGN_ID, BENCH_ORG_ID]);
  for (let start = 0; start < rows.length; start += BATCH) {
    const batch = rows.slice(start, start + BATCH);
    await queue.addBulk(batch.map(({ entity_id }) => ({ name: 'deliver', data: [BENCH_CAMPAIGN_ID, entity_id] })));
  }
  await client.query('SELECT pg_advisory_lock($1)', [END]);
  await queue.close();
  await connection.quit();
  await client.end();
}

await (process.argv[2] === 'send' ? send() : work(Number(process.argv[3])));
