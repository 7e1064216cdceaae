/** What the wiring says about a bucket. Members are e-mail addresses of service accounts or users. */
export interface BucketSettings {
  readonly name: string;
  /** `roles/storage.objectAdmin`: everything with objects. */
  readonly objectAdmins?: readonly string[];
  /** `roles/storage.objectCreator`: may add objects, but neither read, list, replace nor delete them. */
  readonly objectCreators?: readonly string[];
  /** `roles/storage.objectViewer`: may read and list. */
  readonly objectViewers?: readonly string[];
  /** Anybody may read an object whose name they know (`allUsers` as `roles/storage.legacyObjectReader`). */
  readonly publicRead?: boolean;
}

export interface StoredBucket {
  readonly createTime: string;
  /** The newest generation ever given out here, so that numbers grow also over deletions. Decimal. */
  lastGeneration: string;
  readonly objects: Record<string, StoredObject>;
}

/** One live object. Content is base64; hashes are base64 as Google writes them (CRC32C big-endian). */
export interface StoredObject {
  readonly name: string;
  /** Decimal microseconds. */
  readonly generation: string;
  readonly metageneration: string;
  readonly contentType: string;
  readonly cacheControl?: string;
  readonly contentDisposition?: string;
  readonly contentEncoding?: string;
  readonly contentLanguage?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly content: string;
  readonly md5Hash: string;
  readonly crc32c: string;
  readonly size: string;
  readonly timeCreated: string;
}
