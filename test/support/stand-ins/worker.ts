/** Stands in for `workers/main.ts`: says ready and lives until it is ended. */
setInterval(() => undefined, 1_000);
console.log(JSON.stringify({ ready: true }));
