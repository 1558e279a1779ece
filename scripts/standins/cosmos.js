// Runs @vercel/cosmosdb-server, Cosmos DB's wire by somebody else than us, until whoever started it
// is gone: node cosmos.js DIR CERT KEY DATABASE CONTAINER. It prints "listening on https://127.0.0.1:PORT".
//
// What it does not do, so that it proves requests and answers and little more: its queries are not
// confined to a partition (and are refused unless they may cross partitions), its batches are not
// atomic, one that fails is answered 200 and not 207, one that does
// anything but create is refused, a read of what is not there is a 500, and nothing expires.
'use strict';

const fs = require('node:fs');
const https = require('node:https');
const path = require('node:path');

const [modules, cert, key, database, container] = process.argv.slice(2);
const { createHttpsServer } = require(path.join(modules, '@vercel', 'cosmosdb-server'));
const tls = { cert: fs.readFileSync(cert), key: fs.readFileSync(key), minVersion: 'TLSv1.2' };
const server = createHttpsServer(tls);

// make posts what a database or a container is made of.
const make = (port, at, body) =>
  new Promise((resolve, reject) => {
    const request = https.request(
      { host: '127.0.0.1', port, path: at, method: 'POST', ca: tls.cert, headers: { 'content-type': 'application/json' } },
      (answer) => {
        answer.resume();
        if (answer.statusCode === 201) resolve();
        else reject(new Error(`POST ${at}: ${answer.statusCode}`));
      },
    );
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });

process.stdin.resume();
process.stdin.on('end', () => process.exit());
server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address();
  await make(port, '/dbs', { id: database });
  await make(port, `/dbs/${database}/colls`, {
    id: container,
    partitionKey: { paths: ['/tenant', '/bucket'], kind: 'MultiHash', version: 2 },
  });
  console.log(`listening on https://127.0.0.1:${port}`);
});
