/** Where the files lie that a browser loads, once they are built. */
export const PAGE_FOLDER = new URL('../page/', import.meta.url);
