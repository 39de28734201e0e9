// The bundle replaces it by package.json's version.
declare const COUNTERSIGN_VERSION: string | undefined;

/** The version of the package `countersign`. */
export const version = typeof COUNTERSIGN_VERSION === 'string' ? COUNTERSIGN_VERSION : '0.0.0-source';
