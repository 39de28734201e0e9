// The tests spawn the bin, which is the bundle: of today's sources.
export default () => import('../bundle.mjs');
