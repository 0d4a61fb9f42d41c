/**
 * The import table of ARCHITECTURE.md. A folder may import itself and what stands here; anything
 * else inside the project is an error.
 */
const allowed = {
  core: [],
  formats: ['core'],
  store: ['core', 'formats'],
  'pipeline/(batches|mapping|review)': ['core', 'formats', 'pipeline/(batches|mapping|review)'],
  'pipeline/transform': ['core', 'formats'],
  'connectors/kit': ['core', 'formats'],
  'connectors/registry': ['core', 'formats', 'connectors'],
  config: ['core', 'connectors/registry'],
  intake: ['core', 'formats', 'connectors/registry', 'store'],
  activities: ['core', 'formats', 'pipeline', 'connectors/(registry|kit)', 'store'],
  workflows: ['core', 'activities/contract'],
  temporal: ['core', 'config', 'workflows/(messages|search-attributes)'],
  workers: [
    'core',
    'formats',
    'store',
    'pipeline',
    'connectors/(registry|kit)',
    'config',
    'intake',
    'activities',
    'temporal',
    'workflows/(messages|search-attributes)',
  ],
  server: [
    'core',
    'formats',
    'pipeline',
    'connectors/(registry|kit)',
    'store',
    'intake',
    'temporal',
    'config',
  ],
  demo: ['core'],
  local: ['core', 'config', 'temporal'],
  cli: ['core', 'config', 'demo', 'local'],
  console: ['core'],
};

/** Only types may cross here: they are erased, nothing runs. */
const allowedTypes = {
  temporal: ['workflows', 'activities/contract'],
  workers: ['workflows'],
  cli: ['server/contract'],
  console: ['server/contract'],
};

const ownFolders =
  '^(core|formats|store|pipeline|connectors|config|intake|activities|workflows|temporal|workers|server|demo|local|cli|console|scripts|bench|test|docs|examples)/';

const anyOf = (folders) => folders.map((folder) => `^${folder}(/|[.]ts$)`);

function ruleFor(folder) {
  const [own, types] = [[folder, ...allowed[folder]], allowedTypes[folder] ?? []];
  const name = `imports-of-${folder.replaceAll(/[^a-z]+/g, '-').replace(/-$/, '')}`;
  const comment = `${folder} may import only: ${allowed[folder].join(', ') || 'nothing'}`;
  const from = { path: anyOf([folder]) };
  const values = {
    name,
    comment,
    severity: 'error',
    from,
    to: { path: ownFolders, pathNot: anyOf([...own, ...types]) },
  };
  if (types.length === 0) return [values];
  return [
    values,
    {
      name: `${name}-types-only`,
      comment: `${folder} may import only types from: ${types.join(', ')}`,
      severity: 'error',
      from,
      to: {
        path: anyOf(types),
        pathNot: anyOf(own),
        dependencyTypesNot: ['type-only'],
      },
    },
  ];
}

/** A connector is on its own: what two of them share belongs to the kit. */
const connectorRule = {
  name: 'imports-of-a-connector',
  comment: 'a connector may import only: core, formats, connectors/kit, itself',
  severity: 'error',
  from: { path: '^connectors/([^/]+)/', pathNot: '^connectors/kit/' },
  to: { path: ownFolders, pathNot: ['^(core|formats|connectors/kit|connectors/$1)/'] },
};

const temporalRule = {
  name: 'temporal-sdk',
  comment: 'only activities, workflows, workers and temporal know that Temporal exists',
  severity: 'error',
  from: {
    path: ownFolders,
    pathNot: '^(activities|workflows|workers|temporal|test|bench|docs)/',
  },
  to: { path: 'node_modules/@temporalio/' },
};

const pureRules = [
  {
    name: 'core-is-pure',
    comment: 'core imports nothing, not even Node',
    severity: 'error',
    from: { path: '^core/' },
    to: { pathNot: '^core/' },
  },
  {
    name: 'rules-without-io',
    comment: 'of Node, pipeline/batches, mapping and review may use only node:crypto; no packages',
    severity: 'error',
    from: { path: '^pipeline/(batches|mapping|review)/' },
    to: { pathNot: ['^(core|formats|pipeline)/', '^(node:)?crypto$'] },
  },
];

module.exports = {
  forbidden: [
    ...Object.keys(allowed).flatMap(ruleFor),
    connectorRule,
    temporalRule,
    ...pureRules,
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'nothing-imports-test-bench-scripts',
      severity: 'error',
      from: { pathNot: '^(test|bench|scripts)/' },
      to: { path: '^(test|bench|scripts)/' },
    },
    {
      name: 'the-oracle-is-on-its-own',
      comment: 'what judges the product shares no code with it',
      severity: 'error',
      from: { path: '^test/prove/oracle/' },
      to: { path: ownFolders, pathNot: ['^test/prove/oracle/'] },
    },
    {
      name: 'resolvable',
      comment: 'the imported file or package does not exist',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    exclude: { path: '^(docs|examples|test-results|coverage)/|[.]millrace/' },
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    detectProcessBuiltinModuleCalls: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.d.ts'],
    },
  },
};
