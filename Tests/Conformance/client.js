// The JavaScript SDK, unmodified, in JSON or in Protobuf: under node (CENTRIFUGE_JS, CENTRIFUGE_JS_PROTOBUF, with Debian's node-ws) as `node client.js OPTIONS`, or in a page where
// its bundle and this file were evaluated. Says each event as an array; takes one command, an array, at a time.
'use strict';
function follow(Centrifuge, options, say) {
  const settings = { minReconnectDelay: 50, maxReconnectDelay: 300, timeout: 30000, token: options.token };
  if (options.tokens) settings.getToken = async () => (await fetch(options.tokens)).text();
  if (options.websocket) settings.websocket = options.websocket;
  // In Protobuf what is published and called with is bytes, which hold the same JSON.
  const read = options.protobuf ? (data) => JSON.parse(new TextDecoder().decode(data)) : (data) => data;
  const written = options.protobuf ? (data) => new TextEncoder().encode(JSON.stringify(data)) : (data) => data;
  const client = new Centrifuge(options.url, settings);
  client.on('connected', () => say('connected'));
  client.on('connecting', (context) => say('connecting', context.code));
  client.on('disconnected', (context) => say('disconnected', context.code, context.reason));
  client.on('subscribed', (context) => say('subscribed', context.channel, context.wasRecovering, context.recovered));
  client.on('unsubscribed', (context) => say('unsubscribed', context.channel));
  client.on('publication', (context) => say('publication', context.channel, read(context.data).title, context.tags.cursor));
  client.on('message', (context) => say('message', read(context.data)));
  client.on('error', (context) => say('error', context.error.code));
  let watched;
  const commands = {
    watch(channel) {
      watched = client.newSubscription(channel, { joinLeave: true, recoverable: true, positioned: true });
      watched.on('subscribed', (context) => say('watching', context.wasRecovering, context.recovered));
      watched.on('publication', (context) => say('seen', read(context.data).title));
      watched.on('join', (context) => say('join', context.info.user));
      watched.on('leave', (context) => say('leave', context.info.user));
      watched.on('error', (context) => say('refused', context.error.code));
      watched.on('unsubscribed', (context) => say('unwatched', context.code));
      watched.subscribe();
    },
    async presence() {
      const { clients } = await watched.presence();
      const { numClients, numUsers } = await watched.presenceStats();
      say('presence', Object.values(clients).map((info) => info.user).sort(), numClients, numUsers);
    },
    async history() {
      const { publications } = await watched.history({ limit: 100 });
      say('history', publications.map((publication) => read(publication.data).title));
    },
    async call(method, data) { say('answer', method, read((await client.rpc(method, written(data))).data)); },
    unwatch() { watched.unsubscribe(); },
    // Faster than any answer: on, off, and on again.
    flap(channel) {
      commands.watch(channel);
      watched.unsubscribe();
      watched.subscribe();
    },
  };
  client.connect();
  return (command, ...rest) => Promise.resolve(commands[command](...rest)).catch((error) => say('failed', command, error.code));
}
if (typeof require === 'function' && require.main === module) {
  const options = { ...JSON.parse(process.argv[2]), websocket: require('ws') };
  const { Centrifuge } = require(options.protobuf ? process.env.CENTRIFUGE_JS_PROTOBUF : process.env.CENTRIFUGE_JS);
  const order = follow(Centrifuge, options, (...event) => process.stdout.write(JSON.stringify(event) + '\n'));
  require('readline').createInterface({ input: process.stdin }).on('line', (line) => order(...JSON.parse(line)));
}
