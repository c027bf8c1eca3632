/**
 * When a binding was last known to be right, told without a clock: in which life of the agent, and as of which of its recalls.
 * It means the same to every gateway, and the affinity cookie carries it.
 */
export interface Stamp {
  /** Fingerprint of the agent's incarnation, {@link LIFE_LENGTH} characters. */
  readonly life: string;
  /** Number of the newest recall that the gateway knew of when it asked. */
  readonly recall: number;
}

export const LIFE_LENGTH = 6;
