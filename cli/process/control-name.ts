/** Subject CN of control's certificates: hosts take orders from whoever shows one of it. */
export const controlName = 'bothy-control';
