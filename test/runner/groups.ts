/** A set of test files that run together, and how. */
export interface TestGroup {
  readonly name: string;
  /** Option of `npm test` that runs this group alone. */
  readonly option: 'unit' | 'contract' | 'integration' | 'e2e';
  /** Test files that run at the same time. */
  readonly concurrency: number;
  /** Longest time of one test that names no timeout of its own, milliseconds. */
  readonly timeout: number;
  readonly owns: (file: string) => boolean;
}

const below = (folder: string) => (file: string) => file.startsWith(`${folder}/`);

/** In the order in which they run: what fails fast and explains most comes first. */
export const TEST_GROUPS: readonly TestGroup[] = [
  {
    name: 'structure',
    option: 'unit',
    concurrency: 2,
    timeout: 60_000,
    // What holds for the repository as a whole, and the tests of what tests are made of.
    owns: (file) => /^test\/([^/]+|(runner|structure|services|corpus)\/.*)$/.test(file),
  },
  { name: 'unit', option: 'unit', concurrency: 2, timeout: 60_000, owns: (file) => !below('test')(file) },
  { name: 'contract', option: 'contract', concurrency: 2, timeout: 120_000, owns: below('test/contract') },
  {
    name: 'integration',
    option: 'integration',
    concurrency: 2,
    timeout: 120_000,
    // Everything else in test/, so that no test file can be placed where nothing runs it.
    owns: (file) =>
      below('test')(file) && !TEST_GROUPS.some((group) => group.name !== 'integration' && group.owns(file)),
  },
  // One after the other: these start whole installations, and two cores are few.
  {
    name: 'end-to-end',
    option: 'e2e',
    concurrency: 1,
    timeout: 300_000,
    owns: (file) => below('test/end-to-end')(file) || below('test/e2e')(file),
  },
];
