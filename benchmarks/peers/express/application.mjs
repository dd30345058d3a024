// `node application.mjs mongodb|redis URL`: Express with express-session, the pages of
// benchmarks/applications.py. The port is the first line of its output.
import { randomBytes } from "node:crypto";
import express from "express";
import session from "express-session";

const IDLE = 24 * 60 * 60; // seconds, as ours

const stores = {
  async mongodb(url) {
    const { default: MongoStore } = await import("connect-mongo");
    return MongoStore.create({
      mongoUrl: url,
      collectionName: "express",
      ttl: IDLE,
      touchAfter: IDLE / 10, // as seldom as ours
      writeOperationOptions: { w: "majority" },
    });
  },
  async redis(url) {
    const { RedisStore } = await import("connect-redis");
    const { createClient } = await import("redis");
    const client = createClient({ url });
    client.on("error", (error) => console.error(error.message));
    await client.connect();
    return new RedisStore({ client, prefix: "express:", ttl: IDLE });
  },
};

const [name, url] = process.argv.slice(2);
const app = express();
app.disable("x-powered-by");
app.disable("etag");
app.get("/constant", (request, response) => response.send("Ada0000"));
app.use(
  session({
    secret: randomBytes(32).toString("hex"),
    store: await stores[name](url),
    resave: false,
    saveUninitialized: false,
    cookie: { sameSite: "lax" }, // without maxAge no write sends it again; the store ends it
  }),
);
app.get("/begin/:name", (request, response) => {
  request.session.name = request.params.name;
  request.session.count = 0;
  response.send(request.params.name);
});
app.get("/read", (request, response) => response.send(request.session.name));
app.get("/write", (request, response) => {
  request.session.count += 1;
  response.send("written");
});
app.get("/count", (request, response) => response.send(String(request.session.count)));

const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
server.keepAliveTimeout = 75_000;
