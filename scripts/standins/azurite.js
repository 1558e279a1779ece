// Runs Azurite's Blob Storage until whoever started it is gone: node azurite.js DIR [ARGUMENTS].
'use strict';

const path = require('node:path');

const [modules] = process.argv.splice(2, 1);
process.stdin.resume();
process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM'));
require(path.join(modules, 'azurite', 'dist', 'src', 'blob', 'main.js'));
