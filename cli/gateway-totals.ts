import type { GatewayReport } from '../gateway/admin-api/admin-api-types.ts';
import { readableDuration } from './readable.ts';

/**
 * What a gateway has counted since its start, and what ails it, a line each for what there was any of.
 *
 * @param now - milliseconds since 1970
 */
export function gatewayTotals(gateway: GatewayReport, now: number): string[] {
  const { takeovers, storeFailure, storeSettlingMs } = gateway;
  const lines = [...workers(gateway), ...heldAnswers(gateway)];
  const { clean, possiblyLost, tooOld } = takeovers;
  if (clean + possiblyLost + tooOld > 0) {
    const lost = possiblyLost > 0 ? 'POSSIBLY LOST A CHANGE' : 'possibly lost a change';
    lines.push(`Takeovers: ${clean} clean, ${possiblyLost} ${lost}, ${tooOld} refused as too old`);
  }
  if (storeFailure) {
    const { code, since } = storeFailure;
    const time = readableDuration(now - since);
    lines.push(
      `This gateway has not reached the store for ${time} (${code}): sessions to be looked up or moved get 503, drain and ready are refused`,
    );
  }
  if (storeSettlingMs > 0) {
    const time = readableDuration(storeSettlingMs);
    lines.push(`The store has been restarted or has lost data: for ${time} more, no session is taken over`);
  }
  return lines;
}

function workers({ workers }: GatewayReport): string[] {
  if (!workers) return [];
  const { configured, running, lost } = workers;
  const died = lost > 0 ? `; ${lost} DIED since the start` : '';
  return [`Workers: ${running} of ${configured} serve clients${died}`];
}

function heldAnswers({ held, holdTimeMs, unprotected, errors }: GatewayReport): string[] {
  const { released, accepted, atRisk, withheld, overflowed } = held;
  const count = released + accepted + atRisk + withheld;
  if (count + overflowed === 0) return [];
  const parts = [`${released} sent after their commit`];
  if (accepted > 0) parts.push(`${accepted} before it (async)`);
  if (atRisk > 0) parts.push(`${atRisk} from the journal while the store was away`);
  if (overflowed > 0) parts.push(`${overflowed} too large to hold`);
  if (unprotected > 0) parts.push(`${unprotected} of unprotected sessions`);
  if (withheld > 0) parts.push(`${withheld} withheld${reasons(errors)}`);
  const average = count > 0 ? `; held for ${readableDuration(holdTimeMs / count)} on average` : '';
  return [`Held answers: ${parts.join(', ')}${average}`];
}

function reasons(errors: Readonly<Record<string, number>>): string {
  const parts = (['fenced', 'ended', 'unknown'] as const).flatMap((reason) => {
    const count = errors[`COMMIT_${reason.toUpperCase()}`] ?? 0;
    return count > 0 ? [`${count} ${reason}`] : [];
  });
  return parts.length > 0 ? ` (${parts.join(', ')})` : '';
}
