// The whole path with clients nobody here wrote: the official client sends, a real mail server takes
// the message over TLS, the official verifier accepts the webhook.
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { Resend } from 'resend';
import { Webhook } from 'svix';
import { Instance, makeCertificates, smtpSink, tlsFront, until, webhookReceiver } from './support.mjs';

for (const database of ['sqlite', 'postgres']) {
  test(`resend to smtp-sink over TLS, read back, webhook verified (${database})`, async () => {
    const instance = new Instance({ database, env: { ALLOW_PRIVATE_WEBHOOK_URLS: 'true' } });
    const sink = await smtpSink(path.join(instance.folder, 'sink'));
    const certificates = makeCertificates(path.join(instance.folder, 'tls'));
    const front = await tlsFront(certificates, sink.port);
    const hooks = await webhookReceiver();
    try {
      instance.env.OPENSEND_TRANSPORT__NAMES = 'relay';
      instance.env.OPENSEND_TRANSPORT__RELAY__URL = `smtps://localhost:${front.port}`;
      instance.env.OPENSEND_TRANSPORT__RELAY__CONFIG__CA_FILE = certificates.ca;
      await instance.prepare();
      instance.run('domains', 'add', 'example.dev', '--i-own-this-domain');
      const key = instance.key();
      await instance.start();
      process.env.RESEND_BASE_URL = instance.base;
      const resend = new Resend(key, { baseUrl: instance.base });

      const hook = await resend.webhooks.create({ endpoint: hooks.url, events: ['email.sent'] });
      assert.equal(hook.error, null);
      assert.match(hook.data.signing_secret, /^whsec_/);

      const sent = await resend.emails.send({
        from: 'Ada <ada@example.dev>',
        to: ['friend@example.com'],
        bcc: 'hidden@example.com',
        subject: 'Grüße 🚀',
        html: '<p>Hello <b>you</b></p>',
        tags: [{ name: 'kind', value: 'first' }],
        attachments: [{ filename: 'a.txt', content: Buffer.from('attached').toString('base64') }],
      });
      assert.equal(sent.error, null);
      assert.ok(sent.data.id);

      const read = await until('the email is sent', async () => {
        const got = await resend.emails.get(sent.data.id);
        return got.data?.last_event === 'sent' ? got.data : null;
      });
      assert.equal(read.subject, 'Grüße 🚀');
      assert.deepEqual(read.to, ['friend@example.com']);
      assert.equal(read.object, 'email');

      const messages = await until('two copies arrive', () => (sink.messages().length >= 2 ? sink.messages() : null));
      assert.equal(messages.length, 2);
      assert.ok(front.handshakes() > 0);
      for (const message of messages) {
        assert.match(message, /^DKIM-Signature: v=1; a=rsa-sha256;/m);
        assert.match(message, /^Subject: =\?utf-8\?/im);
        const head = message.slice(message.indexOf('DKIM-Signature'));
        assert.ok(!head.includes('hidden@example.com'), 'bcc is in no header');
      }

      const request = await until('the webhook arrives', () => hooks.requests[0]);
      // It throws when the signature, the id or the time do not fit.
      new Webhook(hook.data.signing_secret).verify(request.body, request.headers);
      const event = JSON.parse(request.body);
      assert.equal(event.type, 'email.sent');
      assert.equal(event.data.email_id, sent.data.id);
      assert.deepEqual(event.data.tags, { kind: 'first' });
      assert.equal(request.headers['webhook-id'], request.headers['svix-id']);
      assert.throws(() => new Webhook(hook.data.signing_secret).verify(`${request.body} `, request.headers));
      const verified = resend.webhooks.verify({
        payload: request.body,
        headers: { id: request.headers['webhook-id'], timestamp: request.headers['webhook-timestamp'], signature: request.headers['webhook-signature'] },
        webhookSecret: hook.data.signing_secret,
      });
      assert.equal(verified.type, 'email.sent');

      const list = await resend.emails.list();
      assert.equal(list.data.data.length, 1);
      const keys = await resend.apiKeys.create({ name: 'second', permission: 'sending_access' });
      assert.match(keys.data.token, /^os_/);
      assert.equal((await resend.apiKeys.list()).data.data.length, 2);
      assert.equal((await resend.apiKeys.remove(keys.data.id)).error, null);
      const domain = await resend.domains.create({ name: 'other.dev' });
      assert.equal(domain.error, null);
      assert.ok(domain.data.records.some((record) => record.record === 'DKIM'));
      assert.equal((await resend.domains.list()).data.data.length, 2);
      assert.equal((await resend.domains.get(domain.data.id)).data.name, 'other.dev');
      assert.equal((await resend.webhooks.list()).data.data.length, 1);
      assert.equal((await resend.webhooks.remove(hook.data.id)).error, null);
    } finally {
      await instance.destroy();
      front.stop();
      sink.stop();
      hooks.stop();
    }
  });
}
