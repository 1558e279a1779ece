// Plays the part of Azure Service Bus that Polis uses, over AMQP 1.0 and TLS, for tests and for a
// laptop: queues and topics with subscriptions, locks that expire, delivery counts, dead
// letters, scheduled messages, duplicate detection, and tokens for each entity by $cbs.
//
//   node servicebus.js --modules DIR --cert FILE --key FILE [--port N] [--estate FILE | --any] [--keep FILE]
//
// It prints "listening on amqps://127.0.0.1:PORT". --estate is infra/estate/estate.json: its
// queues, topics and settings, and an attach to anything else is refused as Azure refuses it;
// with --any a queue is made when it is first asked for. --keep writes what it holds to a file
// when it ends and reads it at the start. On standard input it takes, a line each, and answers
// "ok": "now MILLISECONDS" stops the clock at that time, "deliveries N" sets the greatest number
// of deliveries (0: any), "drop" closes all connections as a broken network would.
//
// What it does not do: sessions, transactions, deferral, auto-forwarding, filters other than
// equal application properties, SQL rules, partitioned entities, AMQP over web sockets,
// management over HTTPS, quotas, throttling, and signatures of tokens: it looks at their audience
// and times. Messages are lost when it is killed, unless --keep had its turn.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');

const args = {};
for (let i = 2; i < process.argv.length; i++) {
  const name = process.argv[i].replace(/^--/, '');
  args[name] = name === 'any' ? true : process.argv[++i];
}
const rhea = require(path.join(args.modules, 'rhea'));
const types = rhea.types;

// --- time -------------------------------------------------------------------------------

let stopped = null; // where a test has stopped the clock
const now = () => (stopped === null ? Date.now() : stopped);
const milliseconds = (iso) => {
  const m = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/.exec(iso);
  return 1000 * (86400 * (m[1] || 0) + 3600 * (m[2] || 0) + 60 * (m[3] || 0) + +(m[4] || 0));
};

// --- entities ---------------------------------------------------------------------------

const settings = { lock: 60e3, deliveries: 10, window: 600e3 };
const entities = new Map(); // by name: a queue, a subscription, or a topic

class Queue {
  constructor(name) {
    this.name = name;
    this.messages = new Map(); // by sequence number, in that order
    this.next = 1;
    this.seen = new Map(); // when an id was last sent, for as long as it counts
    this.links = new Set(); // of receivers
  }

  // put takes a message in, unless it is one that was sent before.
  put(message, { duplicates = true, attempts = 0 } = {}) {
    const id = message.message_id;
    if (duplicates && id !== undefined && id !== null && id !== '') {
      for (const [other, at] of this.seen) {
        if (at + settings.window <= now()) this.seen.delete(other);
      }
      if (this.seen.has(id)) return -1;
      this.seen.set(id, now());
    }
    const due = scheduled(message);
    const held = { sequence: this.next++, message, enqueued: now(), due: due > now() ? due : 0, attempts, token: null, until: 0, delivery: null };
    this.messages.set(held.sequence, held);
    return held.sequence;
  }

  ready(held) {
    // In line on a link that has no credit any more: its lock begins when it is sent. Forgotten
    // before, it would leave a hole in its session, over which nothing that follows is sent.
    if (waits(held.delivery)) held.until = now() + settings.lock;
    return (held.due === 0 || held.due <= now()) && (held.token === null || held.until <= now());
  }

  // deliver sends what is ready over the links that have credit.
  deliver() {
    for (const link of this.links) {
      if (!link.is_open()) this.links.delete(link);
    }
    for (const held of [...this.messages.values()].sort((a, b) => a.sequence - b.sequence)) {
      const link = [...this.links].find((l) => l.credit - (l.onTheWay || 0) > 0);
      if (!link) return;
      if (!this.ready(held)) continue;
      if (settings.deliveries > 0 && held.attempts >= settings.deliveries && !this.name.endsWith(dead)) {
        this.bury(held, 'MaxDeliveryCountExceeded', 'Message could not be consumed after ' + settings.deliveries + ' delivery attempts.');
        continue;
      }
      unlink(held);
      held.attempts++;
      held.token = crypto.randomUUID();
      held.until = now() + settings.lock;
      link.onTheWay = (link.onTheWay || 0) + 1;
      held.delivery = link.send(encode(outgoing(this, held, true)), tag(held.token), 0);
      held.delivery.held = held;
      process.nextTick(() => { link.onTheWay = 0; });
    }
  }

  // locked is the message that a token locks.
  locked(token) {
    for (const held of this.messages.values()) {
      if (held.token === token && held.until > now()) return held;
    }
    return null;
  }

  complete(held) {
    unlink(held);
    this.messages.delete(held.sequence);
  }

  unlock(held) {
    unlink(held);
    held.token = null;
    held.until = 0;
    this.deliver();
  }

  bury(held, reason, description) {
    unlink(held);
    this.messages.delete(held.sequence);
    const message = held.message;
    message.application_properties = { ...message.application_properties, DeadLetterReason: reason || '', DeadLetterErrorDescription: description || '' };
    const to = queue(this.name + dead);
    const sequence = to.put(message, { duplicates: false, attempts: held.attempts });
    const buried = to.messages.get(sequence);
    buried.enqueued = held.enqueued;
    buried.original = held.sequence;
    buried.due = 0;
    to.deliver();
  }
}

// waits says whether a delivery was given to an open link and not sent yet.
function waits(d) {
  return d !== null && !d.settled && d.link.is_open() && d.id >= d.link.session.outgoing.next_pending_delivery;
}

// unlink forgets the delivery of a message over a link: it is settled otherwise.
function unlink(held) {
  const d = held.delivery;
  held.delivery = null;
  if (d && !d.settled) {
    d.held = null;
    d.settled = true;
    d.remote_settled = true;
  }
}

class Topic {
  constructor(name, subscriptions) {
    this.name = name;
    this.subscriptions = subscriptions; // [{queue, filter}]
  }

  put(message, options) {
    for (const { queue: q, filter } of this.subscriptions) {
      const p = message.application_properties || {};
      if (Object.entries(filter).every(([k, v]) => p[k] === v)) {
        q.put(rhea.message.decode(encode(message)), options);
        q.deliver();
      }
    }
    return 0;
  }

  deliver() {}
}

const dead = '/$DeadLetterQueue';

function queue(name) {
  if (!entities.has(name)) entities.set(name, new Queue(name));
  return entities.get(name);
}

// entity is that of an address, or undefined.
function entity(address) {
  const name = address.replace(/\/\$management$/, '').replace(/\/\$deadletterqueue$/i, dead);
  if (entities.has(name)) return entities.get(name);
  if (args.any || (name.endsWith(dead) && entities.has(name.slice(0, -dead.length)))) return queue(name);
  return undefined;
}

if (args.estate) {
  const { bus } = JSON.parse(fs.readFileSync(args.estate, 'utf8'));
  settings.lock = milliseconds(bus.lock);
  settings.deliveries = bus.maxDeliveries;
  settings.window = milliseconds(bus.duplicateWindow);
  for (const q of bus.queues) queue(q.name);
  for (const t of bus.topics) {
    const subscriptions = t.subscriptions.map((s) => ({ queue: queue(`${t.name}/Subscriptions/${s.name}`), filter: s.properties || {} }));
    entities.set(t.name, new Topic(t.name, subscriptions));
  }
}

// --- messages ---------------------------------------------------------------------------

const encode = (message) => rhea.message.encode(message);

function scheduled(message) {
  const at = message.message_annotations && message.message_annotations['x-opt-scheduled-enqueue-time'];
  return at ? +at : 0;
}

// tag is a token as .NET writes a GUID, which is how Service Bus tags deliveries.
function tag(token) {
  const b = Buffer.from(token.replaceAll('-', ''), 'hex');
  return Buffer.from([b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], ...b.subarray(8)]);
}

const untag = (uuid) => {
  const h = Buffer.from(uuid).toString('hex');
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`;
};

// outgoing is a message with what the broker says of it.
function outgoing(q, held, locks) {
  const annotations = { ...held.message.message_annotations };
  annotations['x-opt-sequence-number'] = types.wrap_long(held.sequence);
  annotations['x-opt-enqueue-sequence-number'] = types.wrap_long(held.original || held.sequence);
  annotations['x-opt-enqueued-time'] = types.wrap_timestamp(held.enqueued);
  annotations['x-opt-message-state'] = types.wrap_int(held.due > now() ? 2 : 0);
  if (locks) annotations['x-opt-locked-until'] = types.wrap_timestamp(held.until);
  const due = scheduled(held.message);
  if (due) annotations['x-opt-scheduled-enqueue-time'] = types.wrap_timestamp(due);
  // The header counts the deliveries before this one.
  return { ...held.message, message_annotations: annotations, delivery_count: Math.max(0, held.attempts - 1), durable: true };
}

const batchFormat = 0x80013700;

// incoming are the messages of a transfer: one, or those of a batch.
function incoming(context) {
  if (context.delivery.format !== batchFormat) return [context.message];
  const { body } = rhea.message.decode(context.message);
  return (body.multiple ? body.content : [body.content]).map((b) => rhea.message.decode(b));
}

// --- who may ----------------------------------------------------------------------------

// claims are a token's, where it is one that is good now for Service Bus.
function claims(token) {
  try {
    const c = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
    const s = Date.now() / 1000;
    if (!/^https:\/\/servicebus\.azure\.net\/*$/.test(c.aud) || !(c.exp > s) || !(c.nbf <= s)) return null;
    return c;
  } catch {
    return null;
  }
}

const pathOf = (audience) => decodeURIComponent(new URL(audience.replace(/^\w+:/, 'http:')).pathname).replace(/^\//, '');
const base = (address) => address.replace(/\/\$management$/, '').replace(/\/\$deadletterqueue$/i, '').toLowerCase();

function allowed(connection, address) {
  const until = connection.granted && connection.granted.get(base(address));
  return until !== undefined && until > Date.now() / 1000;
}

// --- links ------------------------------------------------------------------------------

const container = rhea.create_container({ id: 'polis-stand-in', receiver_options: { autoaccept: false, autosettle: false, credit_window: 100 }, sender_options: { autosettle: false } });
container.sasl_server_mechanisms.enable_anonymous();

// Clients of Service Bus check that their settle modes come back to them.
function mirror(link) {
  link.local.attach.snd_settle_mode = link.remote.attach.snd_settle_mode;
  link.local.attach.rcv_settle_mode = link.remote.attach.rcv_settle_mode;
}

function admit(link, address) {
  if (address === '$cbs') return true;
  if (!allowed(link.connection, address)) {
    link.close({ condition: 'amqp:unauthorized-access', description: "Unauthorized access. 'Send' or 'Listen' claim(s) are required to perform this operation." });
    return false;
  }
  if (!entity(address)) {
    link.close({ condition: 'amqp:not-found', description: 'The messaging entity could not be found.' });
    return false;
  }
  return true;
}

// The client receives: we send.
container.on('sender_open', ({ sender }) => {
  mirror(sender);
  const address = sender.source.address;
  sender.set_source({ address });
  sender.set_target({ address: sender.target && sender.target.address });
  if (!admit(sender, address)) return;
  if (address === '$cbs' || address.endsWith('/$management')) {
    const replies = (sender.connection.replies ||= new Map());
    replies.set(sender.target.address, [...(replies.get(sender.target.address) || []), sender]);
    return;
  }
  const q = entity(address);
  if (q instanceof Topic) {
    sender.close({ condition: 'amqp:not-allowed', description: 'A topic is received from by its subscriptions.' });
    return;
  }
  q.links.add(sender);
});

container.on('sender_close', ({ sender }) => {
  for (const e of entities.values()) if (e.links) e.links.delete(sender);
});

container.on('sendable', ({ sender }) => {
  const q = entity(sender.source.address);
  if (q instanceof Queue) q.deliver();
});

// The client sends: we receive.
container.on('receiver_open', ({ receiver }) => {
  mirror(receiver);
  const address = receiver.target.address;
  receiver.set_target({ address });
  receiver.set_source({ address: receiver.source && receiver.source.address });
  receiver.local.attach.max_message_size = 1024 * 1024;
  receiver.set_credit_window(100);
  admit(receiver, address);
});

container.on('message', (context) => {
  const address = context.receiver.target.address;
  if (address === '$cbs') return answer(context, putToken(context));
  if (address.endsWith('/$management')) return answer(context, manage(context, entity(address)));
  const e = entity(address);
  for (const m of incoming(context)) e.put(m);
  context.delivery.update(true, rhea.message.accepted().described());
  e.deliver();
});

// Outcomes over the link; each is answered as settled. Release gives back at once.
function outcome(context, act) {
  const d = context.delivery;
  const held = d.held;
  const q = entity(d.link.source.address);
  d.update(true, d.remote_state && d.remote_state.described ? d.remote_state.described() : undefined);
  if (!held || held.token === null || held.until <= now()) return;
  d.held = null;
  held.delivery = null;
  act(q, held, d.remote_state);
}
container.on('accepted', (c) => outcome(c, (q, held) => q.complete(held)));
container.on('released', (c) => outcome(c, (q, held) => { held.attempts--; q.unlock(held); }));
container.on('modified', (c) => outcome(c, (q, held) => q.unlock(held)));
container.on('rejected', (c) => outcome(c, (q, held, state) => {
  const info = (state && state.error && state.error.info) || {};
  q.bury(held, info.DeadLetterReason, info.DeadLetterErrorDescription);
}));

// --- requests and answers ---------------------------------------------------------------

function answer(context, { status, description = '', body = null }) {
  context.delivery.update(true, rhea.message.accepted().described());
  const to = (context.connection.replies && context.connection.replies.get(context.message.reply_to)) || [];
  const link = to.find((l) => l.is_open() && l.source.address === context.receiver.target.address);
  if (!link) return;
  link.send({
    correlation_id: context.message.message_id,
    application_properties: {
      'status-code': types.wrap_int(status), statusCode: types.wrap_int(status),
      'status-description': description, statusDescription: description,
    },
    body,
  });
}

function putToken({ message, connection }) {
  const { operation, name } = message.application_properties;
  const c = operation === 'put-token' && claims(message.body);
  if (!c) return { status: 401, description: 'The token is not for Service Bus, or its time is not now.' };
  (connection.granted ||= new Map()).set(base(pathOf(name)), c.exp);
  return { status: 202, description: 'Accepted' };
}

const lost = { status: 410, description: 'The lock supplied is invalid. Either the lock expired, or the message has already been removed from the queue.' };

// list are the elements of what rhea gives for an array, a list or one value.
const list = (v) => (Array.isArray(v) ? v : v === undefined || v === null ? [] : v.value || [v]);

function manage({ message }, e) {
  const body = message.body;
  switch (message.application_properties.operation) {
    case 'com.microsoft:peek-message': {
      const found = [...e.messages.values()].sort((a, b) => a.sequence - b.sequence)
        .filter((h) => h.sequence >= +body['from-sequence-number']).slice(0, +body['message-count']);
      if (found.length === 0) return { status: 204 };
      return { status: 200, body: { messages: types.wrap_list(found.map((h) => ({ message: types.wrap_binary(encode(outgoing(e, h, false))) }))) } };
    }
    case 'com.microsoft:schedule-message': {
      const numbers = list(body.messages).map((m) => {
        const decoded = rhea.message.decode(m.message);
        return Math.max(0, e.put(decoded));
      });
      e.deliver();
      return { status: 200, body: { 'sequence-numbers': types.wrap_array(numbers, 0x81) } };
    }
    case 'com.microsoft:cancel-scheduled-message':
      for (const n of list(body['sequence-numbers'])) e.messages.delete(+n);
      return { status: 200 };
    case 'com.microsoft:renew-lock': {
      const held = list(body['lock-tokens']).map((t) => e.locked(untag(t)));
      if (held.includes(null)) return lost;
      for (const h of held) h.until = now() + settings.lock;
      return { status: 200, body: { expirations: types.wrap_array(held.map((h) => h.until), 0x83) } };
    }
    case 'com.microsoft:update-disposition': {
      const held = list(body['lock-tokens']).map((t) => e.locked(untag(t)));
      if (held.includes(null)) return lost;
      for (const h of held) {
        switch (body['disposition-status']) {
          case 'completed': e.complete(h); break;
          case 'abandoned': e.unlock(h); break;
          case 'suspended': e.bury(h, body['deadletter-reason'], body['deadletter-description']); break;
          default: return { status: 501, description: 'This disposition is not played here.' };
        }
      }
      return { status: 200 };
    }
    default:
      return { status: 501, description: 'This operation is not played here.' };
  }
}

// --- the program ------------------------------------------------------------------------

container.on('connection_error', () => {});
container.on('disconnected', () => {});
container.on('error', (e) => console.error('error:', e.message));
container.on('protocol_error', () => {});

setInterval(() => {
  for (const e of entities.values()) e.deliver();
}, 50).unref();

if (args.keep && fs.existsSync(args.keep)) {
  for (const [name, messages] of Object.entries(JSON.parse(fs.readFileSync(args.keep, 'utf8')))) {
    const q = queue(name);
    for (const { bytes, attempts, enqueued, original } of messages) {
      const n = q.put(rhea.message.decode(Buffer.from(bytes, 'base64')), { duplicates: false, attempts });
      Object.assign(q.messages.get(n), { enqueued, original });
    }
  }
}

function end() {
  if (args.keep) {
    const kept = {};
    for (const [name, q] of entities) {
      if (!(q instanceof Queue) || q.messages.size === 0) continue;
      kept[name] = [...q.messages.values()].map((h) => ({ bytes: encode(h.message).toString('base64'), attempts: h.attempts, enqueued: h.enqueued, original: h.original }));
    }
    fs.writeFileSync(args.keep + '.new', JSON.stringify(kept));
    fs.renameSync(args.keep + '.new', args.keep);
  }
  process.exit(0);
}
process.on('SIGTERM', end);
process.on('SIGINT', end);

const connections = new Set();
container.on('connection_open', ({ connection }) => connections.add(connection));
container.on('connection_close', ({ connection }) => connections.delete(connection));

const server = container.listen({
  host: '127.0.0.1', port: +(args.port || 0), transport: 'tls', idle_time_out: 60000,
  cert: fs.readFileSync(args.cert), key: fs.readFileSync(args.key),
});
server.on('secureConnection', (socket) => socket.setNoDelay(true)); // small frames, answered at once
server.on('listening', () => console.log(`listening on amqps://127.0.0.1:${server.address().port}`));

const input = readline.createInterface({ input: process.stdin });
input.on('line', (line) => {
  const [command, value] = line.split(' ');
  if (command === 'now') stopped = +value;
  if (command === 'deliveries') settings.deliveries = +value;
  if (command === 'drop') for (const c of connections) c.socket.destroy();
  for (const e of entities.values()) e.deliver();
  console.log('ok');
});
// Who started it is gone when the input ends.
input.on('close', end);
