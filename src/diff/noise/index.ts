export { Blocks, type ByBlock, createSums, foldMerged, foldSums, mostBlocks, type Sums } from './blocks.js';
export { because, type Comparison, differing, fewestBlocks, type LeastEffect, level, testNames } from './level.js';
export { compareQuantiles, type Histograms, leastShift, type QuantileShift } from './quantiles.js';
export { compareRatios, compareShares, leastRatio, leastShare, type Ratio } from './ratio.js';
