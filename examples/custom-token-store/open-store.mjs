import { redisStore } from './redis-store.mjs';

/** Opens the store in a process of the test kit's. */
export default () => redisStore(process.env.REDIS_URL);
