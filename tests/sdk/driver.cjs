// The real client, driven by lines of JSON: {"operation", "args"} in, {"status", "data"} out.
//
//   node driver.cjs FOLDER_WITH_NODE_MODULES BASE_URL TOKEN
//
// Nothing is set but the address and the token: what goes over the wire is the client's own.
'use strict';

const { createRequire } = require('node:module');
const readline = require('node:readline');

const [folder, baseURL, token] = process.argv.slice(2);
const { getClient, authorize } = createRequire(`${folder}/package.json`)('@epilot/sdk/targeting');

const client = getClient();
client.defaults.baseURL = baseURL;
authorize(client, () => token);

async function call({ operation, args }) {
  try {
    const { status, data } = await client[operation](...args);
    return { status, data };
  } catch (error) {
    if (!error.response) return { error: String(error) };
    return { status: error.response.status, data: error.response.data };
  }
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await call(JSON.parse(line)))}\n`);
  }
})();
