// An OpenID Connect provider on the loopback interface, for the tests of the console's sign-in: oidc-provider with two
// people, one of whom is a telephony operator. It prints `issuer http://…` when it listens, and ends with its standard input.
//
//   node provider.js REDIRECT_URI POST_LOGOUT_REDIRECT_URI [PORT]

import http from 'node:http';
import { Provider } from 'oidc-provider';

const [redirectUri, postLogoutRedirectUri, wantedPort] = process.argv.slice(2);

const people = {
  kim: { name: 'Kim Operator', email: 'kim@example.com', email_verified: true, groups: ['staff', 'telephony-operators'] },
  lee: { name: 'Lee Visitor', email: 'lee@example.com', email_verified: true, groups: ['staff'] },
};

const listener = http.createServer();
await new Promise((done) => listener.listen(Number(wantedPort ?? 0), '127.0.0.1', done));
const issuer = `http://127.0.0.1:${listener.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'ringproof',
    client_secret: 'a secret of the tests: +/=&%',
    redirect_uris: [redirectUri],
    post_logout_redirect_uris: [postLogoutRedirectUri],
    response_types: ['code'],
    grant_types: ['authorization_code'],
  }],
  claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'] },
  scopes: ['openid', 'profile', 'email', 'groups'],
  pkce: { required: () => true },
  cookies: { keys: ['a key of the tests'] },
  features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  findAccount: (_, id) => people[id] && { accountId: id, claims: async () => ({ sub: id, ...people[id] }) },
});

listener.on('request', provider.callback());
console.log(`issuer ${issuer}`);
process.stdin.on('end', () => process.exit(0)).resume();
