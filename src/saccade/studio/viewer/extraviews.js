// Which views a page has besides those of attention.

/** Views of one layer; the evidence for a class is of all of them. */
export const LAYERED = ['similarity', 'pca'];

export const extraViews = (page) => [...(page.features ? LAYERED : []), ...(page.classes ? ['evidence'] : [])];

/** What else is chosen by a number, and kept in the address: key -> [name there, largest]. */
export const extraNumbers = ({ classes, grid, other }) => ({
  ...(classes ? { cls: ['class', classes.maps.length - 1] } : {}),
  ...(other ? { pair: ['pair', grid[0] * grid[1] + other.grid[0] * other.grid[1] - 1] } : {}),
});
