/** Texts of orders for many stations: English. */
const stations = (count: number): string => (count === 1 ? '1 station' : `${count} stations`);
const andUndecided = (count: number): string => (count === 0 ? '' : `, ${count} not decided yet`);

export const bulkTexts = {
  heading: 'Many at once',
  choose: (station: string) => `Choose ${station}`,
  all: (count: number) => `Choose all ${count}`,
  none: 'Choose none',
  chosen: (count: number) =>
    count === 0 ? 'Choose stations to order something for all of them.' : `${stations(count)} chosen`,
  where: (count: number, names: readonly string[], more: number) =>
    `At ${stations(count)} (${names.join(', ')}${more > 0 ? `, and ${more} more` : ''}):`,
  title: 'Title',
  titleHint: 'To find it by; may be left out.',
  dryRun: 'Only say what would be answered',
  result: (what: string, accepted: number, refused: number, undecided: number) =>
    `${what}: ${accepted} accepted, ${refused} refused${andUndecided(undecided)}`,
  trial: (what: string, accepted: number, refused: number, undecided: number) =>
    `${what}: ${accepted} would be accepted, ${refused} refused${andUndecided(undecided)}. Nothing was done.`,
  undecided: (problem: string) => `not decided yet: ${problem}`,
  asking: 'Those are asked again ...',
  askAgain: 'Ask those again that have not decided',
  accepted: 'accepted',
  operations: 'What becomes of it',
  close: 'Close',
};
