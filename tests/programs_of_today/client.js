// One request by one of JavaScript's clients to $HOST at port 7000: client.js NAME
//
// It prints "asks" before the request, then "answered" or "failed: " and why; and first, where the
// client tells them, "limits: ", its own limits.

const HOST = process.env.HOST;
const PORT = 7000;
const ADDRESS = `http://${HOST}:${PORT}`;
// What the database is asked to sleep; the other servers know it themselves.
const SILENCE = Number(process.env.SILENCE);

const asks = () => console.log("asks");
const limits = (client) =>
    console.log(`limits: ${client.timeout / 1000} s, ${client.maxRetries} retries`);

const clients = {
    async fetch() {
        asks();
        await (await fetch(ADDRESS)).text();
    },

    async undici() {
        const { request } = await import("undici");
        asks();
        await (await request(ADDRESS)).body.text();
    },

    async openai() {
        const { OpenAI } = await import("openai");
        const client = new OpenAI({ apiKey: "none", baseURL: `${ADDRESS}/v1` });
        limits(client);
        asks();
        await client.chat.completions.create({
            model: "m",
            messages: [{ role: "user", content: "?" }],
        });
    },

    async anthropic() {
        const { Anthropic } = await import("@anthropic-ai/sdk");
        const client = new Anthropic({ apiKey: "none", baseURL: ADDRESS });
        limits(client);
        asks();
        await client.messages.create({
            model: "m",
            max_tokens: 9,
            messages: [{ role: "user", content: "?" }],
        });
    },

    async "grpc-js"() {
        const grpc = await import("@grpc/grpc-js");
        const client = new grpc.Client(`${HOST}:${PORT}`, grpc.credentials.createInsecure());
        const same = (bytes) => bytes;
        asks();
        await new Promise((resolve, reject) => {
            const done = (error, answer) => (error ? reject(error) : resolve(answer));
            client.makeUnaryRequest("/any/method", same, same, Buffer.from("?"), done);
        });
    },

    async pg() {
        const { default: pg } = await import("pg");
        const client = new pg.Client({ host: HOST, port: PORT, user: "postgres" });
        await client.connect();
        asks();
        await client.query(`select pg_sleep(${SILENCE})`);
    },

    async ioredis() {
        const { Redis } = await import("ioredis");
        const client = new Redis(PORT, HOST);
        asks();
        await client.blpop("nothing", SILENCE);
    },
};

try {
    await clients[process.argv[2]]();
    console.log("answered");
    process.exit(0);
} catch (error) {
    console.log(`failed: ${error.cause?.name ?? error.name}: ${error.cause?.message ?? error.message}`);
    process.exit(1);
}
