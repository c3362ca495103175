// Takes recado's webhooks with nothing but Node's own library (20 or newer): copy `verify`, and mind what it says.
//   RECADO_WEBHOOK_SECRET=whsec_… node examples/verify_webhook.js 4591
'use strict'

const crypto = require('node:crypto')
const http = require('node:http')

const AGE_SECONDS_MAX = 5 * 60
const BODY_BYTES_MAX = 64 * 1024

// The event, or null when it is not recado's, not as it was sent, or older than five minutes. `body` is the Buffer as it
// came, before anything has parsed it; `headers` have their names in lower case. While a secret is being changed there are
// two signatures: one that holds is enough.
function verify (secret, headers, body, now = Date.now() / 1000) {
  const id = headers['webhook-id']
  const stamp = headers['webhook-timestamp']
  if (!id || !/^\d{1,12}$/.test(stamp ?? '') || Math.abs(now - Number(stamp)) > AGE_SECONDS_MAX) return null
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const expected = crypto.createHmac('sha256', key).update(`${id}.${stamp}.`).update(body).digest()
  const isSigned = (headers['webhook-signature'] ?? '').split(' ').some((one) => {
    const [version, signature] = one.split(',')
    const given = Buffer.from(signature ?? '', 'base64')
    return version === 'v1' && given.length === expected.length && crypto.timingSafeEqual(given, expected)
  })
  return isSigned ? JSON.parse(body.toString('utf8')) : null
}

const seen = new Set() // yours is a table: ids of the last days, written together with what is done about them

function serve (secret, port) {
  const server = http.createServer((request, response) => {
    const parts = []
    let size = 0
    request.on('data', (part) => {
      size += part.length
      if (size > BODY_BYTES_MAX) request.destroy()
      parts.push(part)
    })
    request.on('end', () => {
      const event = verify(secret, request.headers, Buffer.concat(parts))
      if (event !== null && !seen.has(request.headers['webhook-id'])) {
        seen.add(request.headers['webhook-id'])
        console.log(event.type, JSON.stringify(event.data))
      }
      response.writeHead(event === null ? 401 : 204).end()
    })
  })
  server.listen(port, '127.0.0.1', () => console.log(`listening on ${server.address().port}`))
}

if (require.main === module) serve(process.env.RECADO_WEBHOOK_SECRET, Number(process.argv[2] ?? 4591))

module.exports = { verify }
