// The JavaScript SDK, unmodified (CENTRIFUGE_JS), with Debian's node-ws: node client.js URL TOKEN. One event a line, as JSON.
'use strict';
const { Centrifuge } = require(process.env.CENTRIFUGE_JS);
const [url, token] = process.argv.slice(2);
const client = new Centrifuge(url, { token, websocket: require('ws'), minReconnectDelay: 50, maxReconnectDelay: 300 });
const say = (...event) => process.stdout.write(JSON.stringify(event) + '\n');
client.on('connected', () => say('connected'));
client.on('connecting', (context) => say('connecting', context.code));
client.on('disconnected', (context) => say('disconnected', context.code));
client.on('subscribed', (context) => say('subscribed', context.channel, context.wasRecovering, context.recovered));
client.on('unsubscribed', (context) => say('unsubscribed', context.channel));
client.on('publication', (context) => say('publication', context.channel, context.data.title, context.tags.cursor));
client.on('error', (context) => say('error', context.error.code));
client.connect();
