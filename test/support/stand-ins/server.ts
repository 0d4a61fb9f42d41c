import { createServer } from 'node:http';

/** Stands in for `server/main.ts` where a test is about the supervisor: says ready, answers 200. */
const port = Number(process.env.MILLRACE_HTTP_PORT);
createServer((_request, response) => response.end('{}')).listen(port, '127.0.0.1', () => {
  console.log(JSON.stringify({ ready: true }));
});
