import type { Clock } from '@countersign/core';

/** A clock that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /** Moves the time by milliseconds, back too, and wakes those whose sleep has ended. */
  advance(milliseconds: number): void;
}

/** A clock that begins at `start` (milliseconds since the epoch), and moves by `advance` alone. */
export function manualClock(start: number = Date.UTC(2026, 0, 1)): ManualClock {
  let now = start;
  const sleepers = new Set<{ at: number; wake: () => void }>();
  return {
    now: () => now,
    async sleep(milliseconds, signal) {
      signal?.throwIfAborted();
      return new Promise<void>((resolve, reject) => {
        const sleeper = { at: now + milliseconds, wake: resolve };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', () => sleepers.delete(sleeper) && reject(signal.reason as Error), {
          once: true,
        });
        if (milliseconds <= 0) wakeDue();
      });
    },
    advance(milliseconds) {
      now += milliseconds;
      wakeDue();
    },
  };

  function wakeDue(): void {
    for (const sleeper of [...sleepers].filter(({ at }) => at <= now)) {
      sleepers.delete(sleeper);
      sleeper.wake();
    }
  }
}
