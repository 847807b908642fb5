/** How hard archives are compressed where nobody says otherwise: 4 makes logs no larger than `gzip -6` does, in a third of its time. */
export const DEFAULT_LEVELS = { gzip: 4, zstd: 3 } as const;
