export { MemoryDestination } from './destination.ts';
export { memoryEncoding } from './encoding.ts';
export { MemoryOrigin, MemorySource } from './source.ts';
export { MemoryWarehouse } from './warehouse.ts';
