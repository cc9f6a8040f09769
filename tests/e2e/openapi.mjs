// Holds answers and requests against the OpenAPI document that the server gives. `watch` makes every
// fetch to a server a check; what does not fit is thrown at the caller and kept in `violations`.
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const isJson = (type) => /^application\/(json|[\w.-]+\+json)\b/.test(type ?? '');

export class Contract {
  constructor(document) {
    this.document = document;
    this.ajv = new Ajv2020({ strict: false, allErrors: true });
    addFormats.default(this.ajv);
    this.ajv.addSchema(document, 'openapi');
    this.compiled = new Map();
    this.paths = Object.keys(document.paths).map((template) => ({ template, parts: template.split('/') }));
  }
  /** {template, operation} of a request; null for a path or method that is not documented. */
  find(method, path) {
    let parts = path.replace(/(.)\/$/, '$1').split('/');
    if (parts[1] === 'api') parts = ['', ...parts.slice(2)];
    const literals = (each) => each.parts.map((part) => (part.startsWith('{') ? '0' : '1')).join('');
    const fitting = this.paths
      .filter((each) => each.parts.length === parts.length
        && each.parts.every((part, i) => part === parts[i] || (part.startsWith('{') && parts[i] !== '')))
      .sort((a, b) => literals(b).localeCompare(literals(a)));
    if (fitting.length === 0) return null;
    const verb = method === 'HEAD' ? 'get' : method.toLowerCase();
    const operation = this.document.paths[fitting[0].template][verb];
    return operation ? { template: fitting[0].template, operation } : null;
  }
  resolve(node) {
    return node?.$ref ? node.$ref.slice(2).split('/').reduce((at, name) => at[name], this.document) : node;
  }
  /** Sentences on what is wrong with `value`. */
  faults(schema, value) {
    const key = JSON.stringify(schema);
    if (!this.compiled.has(key)) {
      const absolute = JSON.parse(key, (name, inner) => (name === '$ref' ? `openapi${inner}` : inner));
      this.compiled.set(key, this.ajv.compile(absolute));
    }
    const validate = this.compiled.get(key);
    if (validate(value)) return [];
    return validate.errors.slice(0, 8).map((error) => `${error.instancePath || 'the whole'} ${error.message} ${JSON.stringify(error.params)}`);
  }
  answerFaults(operation, { status, type, text, method }) {
    const response = operation
      ? this.resolve(operation.responses[status])
      : this.document.components.responses.Problem;
    if (!response) return [`status ${status} is not documented`];
    if (method === 'HEAD' || text === '') return response.content && method !== 'HEAD' ? ['has no body'] : [];
    if (!isJson(type)) {
      const media = Object.keys(response.content ?? {});
      return media.some((each) => each === '*/*' || type.startsWith(each)) ? [] : [`${type} is not documented`];
    }
    const media = response.content?.['application/json'] ?? response.content?.['*/*'];
    if (!media) return ['JSON is not documented'];
    return media.schema ? this.faults(media.schema, JSON.parse(text)) : [];
  }
  /** A request that succeeded is one that the document allows; members that it does not know were ignored. */
  requestFaults(operation, { query, type, sent, ignored, answer }) {
    const faults = [];
    for (const parameter of (operation.parameters ?? []).map((each) => this.resolve(each))) {
      const value = parameter.in === 'query' ? query.get(parameter.name) : null;
      if (!value) continue;
      const read = parameter.schema.type === 'integer' ? Number(value) : value;
      faults.push(...this.faults(parameter.schema, read).map((fault) => `parameter ${parameter.name}: ${fault}`));
    }
    const schema = operation.requestBody?.content['application/json'].schema;
    if (!schema || (type && !isJson(type))) return faults;
    let body = sent ? JSON.parse(sent) : {};
    // A permissive batch names the items that it left out.
    const refused = new Set((answer?.errors ?? []).map((each) => each.index));
    if (Array.isArray(body) && refused.size > 0) {
      body = body.filter((item, index) => !refused.has(index));
      if (body.length === 0) return faults;
    }
    faults.push(...this.faults(schema, body).map((fault) => `request: ${fault}`));
    const known = this.resolve(schema).properties;
    for (const name of known ? Object.keys(body) : []) {
      const shown = name.replace(/[^A-Za-z0-9_.-]/g, '');
      if (!(name in known) && !ignored.includes(shown)) faults.push(`request: ${name} was read and is not documented`);
    }
    return faults;
  }
  /** Throws when an exchange is not as documented. */
  check({ method, url, headers, sent, status, answered, text }) {
    if (method === 'OPTIONS') return;
    const { pathname, searchParams } = new URL(url);
    const found = this.find(method, pathname);
    const faults = this.answerFaults(found?.operation, { status, type: answered.get('content-type'), text, method });
    if (found && status < 300) {
      const answer = text && isJson(answered.get('content-type')) ? JSON.parse(text) : null;
      const ignored = (answered.get('x-opensend-ignored-fields') ?? '').split(', ');
      faults.push(...this.requestFaults(found.operation, {
        query: searchParams, type: headers.get('content-type'), sent, ignored, answer }));
    }
    if (faults.length > 0) {
      throw new Error(`${method} ${pathname} → ${status} is not what /openapi.json says:\n  ${faults.join('\n  ')}\n${text.slice(0, 2000)}`);
    }
  }
}

const contracts = new Map();  // by text: instances that say the same share what was compiled
const watched = new Map();    // by origin
const bare = globalThis.fetch;

/** From now on every fetch to `base` is checked. Gives {contract, violations}. */
export async function watch(base) {
  if (watched.has(base)) return watched.get(base);
  const document = await (await bare(`${base}/openapi.json`)).json();
  delete document.servers;
  const text = JSON.stringify(document);
  if (!contracts.has(text)) contracts.set(text, new Contract(document));
  const watcher = { contract: contracts.get(text), violations: [] };
  watched.set(base, watcher);
  return watcher;
}
export const unwatch = (base) => watched.delete(base);

globalThis.fetch = async (input, options = {}) => {
  const url = String(input?.url ?? input);
  const response = await bare(input, options);
  const watcher = watched.get(new URL(url).origin);
  if (!watcher) return response;
  const text = await response.clone().text();
  try {
    watcher.contract.check({
      method: options.method ?? input?.method ?? 'GET', url, headers: new Headers(options.headers ?? input?.headers),
      sent: typeof options.body === 'string' || Buffer.isBuffer(options.body) ? String(options.body) : undefined,
      status: response.status, answered: response.headers, text,
    });
  } catch (error) {
    watcher.violations.push(error.message);
    throw error;
  }
  return response;
};
