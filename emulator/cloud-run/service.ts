/** A function as it is deployed: where its front listens, where its own server is, and who may call it. */
export interface CloudRunService {
  /** `sign`, `key-service`, … */
  readonly name: string;
  /** Loopback port of the front; 0 lets the machine choose. */
  readonly port: number;
  /** Unix-domain socket of the function's own server, which may come and go. */
  readonly socketPath: string;
  /** `public` is "allow unauthenticated"; otherwise Cloud Run checks a Google ID token. */
  readonly access: 'public' | IamAccess;
  /** What a call is named in faults and the call log; `functions.<name>` unless given. */
  readonly methodOf?: (verb: string, path: string) => string;
  /** Largest request body; 32 MiB, Cloud Run's own limit for HTTP/1, unless given. */
  readonly maxBodyBytes?: number;
  /** How long the function may take to begin its answer, in real milliseconds; 300 s unless given. */
  readonly timeoutMs?: number;
}

export interface IamAccess {
  /** E-mail addresses that hold `roles/run.invoker` here. */
  readonly invokers: readonly string[];
  /** Custom audiences, taken beside the service's own address. */
  readonly audiences?: readonly string[];
}

/** The key service's calls are named by its operation: `kacls.privatekeysign`. */
export const kaclsMethod = (_verb: string, path: string): string =>
  `kacls.${path.split('/').filter(Boolean).at(-1) ?? ''}`;
