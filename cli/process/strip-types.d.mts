export function restartIfCold(): void;
