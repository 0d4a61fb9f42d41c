import { PipelineError } from '../../core/errors.ts';
import {
  fromFieldPath,
  shortPath,
  toFieldPath,
  type FieldPath,
  type FieldType,
} from '../../core/field-types.ts';
import type {
  ColumnMapping,
  FieldProfile,
  Mapping,
  NamingRule,
  StreamProfile,
  WriteRule,
} from '../../core/mapping.ts';
import type { ImportedSchema } from '../../core/source.ts';
import { countOf, firstType, isMajority, scalarCount, widenedType } from './lattice.ts';
import { assignColumnName } from './names.ts';

/** Columns of one table; fields beyond them go into `_extra`. */
export const maxColumns = 800;

export interface PlanMappingInput {
  readonly source: string;
  readonly stream: string;
  readonly destination: string;
  /** The newest version, or null on first sight of the stream. */
  readonly current: Mapping | null;
  readonly profile: StreamProfile;
  /** What the source itself declares; it decides the types of new fields. */
  readonly imported: ImportedSchema | null;
  readonly naming: NamingRule;
  /** Of a new table. */
  readonly schemaName: string;
  readonly tableName: string;
  /** As it was when the table was made, if there is one. */
  readonly write: WriteRule;
}

export interface MappingChange {
  readonly reason: string;
}

export interface MappingPlan {
  /** The current version where nothing changed, else the next one. */
  readonly mapping: Mapping;
  readonly changed: boolean;
  readonly changes: readonly MappingChange[];
}

/**
 * The mapping that holds everything a profile has seen: the current one, with columns added and
 * widened inside their family. Never drops or narrows; the same input gives the same answer.
 */
export function planMapping(input: PlanMappingInput): MappingPlan {
  const { current, profile, write } = input;
  const draft = new MappingDraft(input);
  for (const field of profile.fields) draft.take(field);
  if (profile.moreFields) draft.keepRest('more fields than can be told apart: _extra');
  const mapping: Mapping = {
    source: input.source,
    stream: input.stream,
    destination: input.destination,
    version: (current?.version ?? 0) + 1,
    table: tableOf(input),
    columns: draft.columns,
    extra: draft.extra,
    ...write,
  };
  if (current && draft.changes.length === 0)
    return { mapping: current, changed: false, changes: [] };
  const changes = current ? draft.changes : [{ reason: 'first sight of the stream' }];
  return { mapping, changed: true, changes };
}

function tableOf({ current, schemaName, tableName }: PlanMappingInput): Mapping['table'] {
  return current?.table ?? { schema: schemaName, name: tableName };
}

/** Columns while fields are taken in, one after the other. */
class MappingDraft {
  readonly changes: MappingChange[] = [];
  readonly #columns: Map<FieldPath, ColumnMapping>;
  readonly #names: Set<string>;
  readonly #naming: NamingRule;
  readonly #imported: ReadonlyMap<FieldPath, FieldType>;
  readonly #profiles: ReadonlyMap<FieldPath, FieldProfile>;
  readonly #parents = new Set<FieldPath>();
  readonly #fresh = new Set<FieldPath>();
  #extra: boolean;

  constructor({ current, naming, imported, profile }: PlanMappingInput) {
    this.#columns = new Map(current?.columns.map((column) => [column.path, column]));
    this.#names = new Set(current?.columns.map(({ column }) => column));
    this.#naming = naming;
    this.#imported = new Map(imported?.fields.map(({ path, type }) => [path, type]));
    this.#profiles = new Map(profile.fields.map((field) => [field.path, field]));
    this.#extra = current?.extra ?? false;
    for (const path of this.#columns.keys()) this.#noteParents(path);
  }

  get columns(): readonly ColumnMapping[] {
    return [...this.#columns.values()];
  }

  get extra(): boolean {
    return this.#extra;
  }

  take(field: FieldProfile): void {
    const known = this.#columns.get(field.path);
    if (known) this.#widen(known, field);
    else if (!this.#isCovered(field.path)) this.#add(field);
  }

  /** What has no column goes into `_extra`. */
  keepRest(reason: string): void {
    if (!this.#extra) this.changes.push({ reason });
    this.#extra = true;
  }

  #widen(column: ColumnMapping, { path, types }: FieldProfile): void {
    const type = column.by === 'person' ? null : widenedType(column.type, types);
    if (type === null) return;
    this.#columns.set(path, { ...column, type });
    this.changes.push({ reason: `${shortPath(path)}: ${column.type} → ${type}` });
  }

  #add(field: FieldProfile): void {
    const type = this.#imported.get(field.path) ?? this.#typeOf(field);
    if (type === null) return;
    if (this.#columns.size >= maxColumns) {
      this.keepRest(`beyond ${maxColumns} columns: _extra`);
      return;
    }
    const { path } = field;
    const column = assignColumnName(path, this.#names, this.#naming);
    this.#names.add(column);
    this.#fresh.add(path);
    this.#columns.set(path, { path, column, type, by: 'automapper' });
    this.#noteParents(path);
    this.changes.push({ reason: `new field ${shortPath(path)}: ${type}` });
  }

  /** Null: no column, either for lack of values or because its objects flatten. */
  #typeOf({ path, types }: FieldProfile): FieldType | null {
    const objects = countOf(types, 'object');
    const scalars = scalarCount(types);
    if (objects === 0 || scalars === 0 || this.#parents.has(path)) return firstType(types);
    const all = objects + scalars;
    if (isMajority(objects, all) || isMajority(scalars, all)) return firstType(types);
    return 'json'; // neither a column nor a group of columns: keep both as they are
  }

  /** A field inside an object that a column takes (or refuses) as a whole has no column of its own. */
  #isCovered(path: FieldPath): boolean {
    const segments = fromFieldPath(path);
    for (let length = 1; length < segments.length; length += 1) {
      const ancestor = toFieldPath(segments.slice(0, length));
      if (this.#columns.has(ancestor) && !this.#flattens(ancestor)) return true;
    }
    return false;
  }

  #flattens(path: FieldPath): boolean {
    if (this.#parents.has(path)) return true;
    if (!this.#fresh.has(path) || this.#imported.has(path)) return false;
    const types = this.#profiles.get(path)?.types ?? {};
    const objects = countOf(types, 'object');
    return isMajority(objects, objects + scalarCount(types));
  }

  #noteParents(path: FieldPath): void {
    const segments = fromFieldPath(path);
    for (let length = 1; length < segments.length; length += 1) {
      this.#parents.add(toFieldPath(segments.slice(0, length)));
    }
  }
}

/**
 * The next version after a person's order for one field, which may cross families and stays.
 * @throws PipelineError `not-found`, naming fields that exist
 */
export function setFieldType(
  mapping: Mapping,
  { field, type }: { readonly field: FieldPath; readonly type: FieldType },
): { readonly mapping: Mapping; readonly changed: boolean } {
  const known = mapping.columns.find(({ path }) => path === field);
  if (!known && isAncestor(mapping, field)) {
    throw new PipelineError(
      'invalid-request',
      `${field} is an object whose fields have columns of their own: set the type of one of them`,
    );
  }
  if (!known) throw noSuchField(mapping, field);
  refuseOtherOrder(mapping, known, type);
  if (known.type === type && known.by === 'person') return { mapping, changed: false };
  const columns = mapping.columns.map((column) =>
    column === known ? { ...column, type, by: 'person' as const } : column,
  );
  return { mapping: { ...mapping, version: mapping.version + 1, columns }, changed: true };
}

/** As text, 10 comes before 9: rows that are older would take the place of newer ones. */
function refuseOtherOrder({ merge }: Mapping, { path, type }: ColumnMapping, wanted: FieldType) {
  if (path !== merge?.version || type === wanted || !unordered.has(wanted)) return;
  throw new PipelineError(
    'invalid-request',
    `${shortPath(path)} says which of two rows is newer, and as ${wanted} it would sort otherwise: mend the values that do not fit`,
  );
}

const unordered: ReadonlySet<FieldType> = new Set(['text', 'json']);

function noSuchField(mapping: Mapping, field: FieldPath): PipelineError {
  const names = mapping.columns.slice(0, 20).map(({ path }) => shortPath(path));
  return new PipelineError(
    'not-found',
    `${mapping.source}.${mapping.stream} has no field ${shortPath(field)} in ${mapping.destination}; it has ${names.join(', ')}`,
  );
}

function isAncestor(mapping: Mapping, field: FieldPath): boolean {
  return mapping.columns.some(({ path }) => path.startsWith(`${field}.`));
}
