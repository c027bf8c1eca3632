/** What both applications answer to everything. */
export interface AppAnswer {
  /** Backend that answered. */
  readonly server: string;
  /** Made when the session's first token was appended, and kept through logins; null: an empty session. */
  readonly generation: string | null;
  /** All tokens of the session, in the order in which they were appended. */
  readonly tokens: readonly string[];
}
