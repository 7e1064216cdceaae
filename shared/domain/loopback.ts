/** Names and addresses of this machine, as `URL.hostname` spells them. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Whether a host is this machine, where a system is tried and nothing leaves it. */
export const isLoopbackHost = (host: string): boolean => LOOPBACK.test(host);
