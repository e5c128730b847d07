export function isTime(value: unknown): boolean;
export function isSeconds(value: unknown): boolean;
export function asText(value: unknown): string;
