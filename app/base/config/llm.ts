import type { Secret } from '../secret.ts';
import { nearest } from './nearest.ts';
import { anyText, httpUrl, list, oneOf, path, secretText, truth } from './parse.ts';
import type { Findings, Setting, Values } from './setting.ts';
import { setting } from './setting.ts';

const proxy = 'LLM proxy';

/** Providers of models, and the rules for the tools that models call. */
export const llmRows = {
  litellmApiBase: setting({
    names: ['LITELLM_API_BASE'],
    about: 'Address of a LiteLLM proxy, or of anything that speaks the API of OpenAI.',
    unset: 'none',
    activeIn: proxy,
    read: httpUrl,
  }),
  litellmMasterKey: setting({
    names: ['LITELLM_MASTER_KEY'],
    about: 'Key for LITELLM_API_BASE.',
    unset: 'none',
    secret: true,
    activeIn: proxy,
    read: secretText,
  }),
  litellmDefaultModels: setting({
    names: ['LITELLM_DEFAULT_MODELS'],
    about: 'Models of LITELLM_API_BASE that people are offered, separated by commas.',
    unset: 'those that it lists',
    activeIn: proxy,
    read: list(anyText),
  }),
  openaiBaseUrl: setting({
    names: ['OPENAI_BASE_URL', 'ARCHESTRA_OPENAI_BASE_URL'],
    about: 'Where the API of OpenAI is.',
    standard: 'https://api.openai.com/v1',
    activeIn: proxy,
    read: httpUrl,
  }),
  anthropicBaseUrl: setting({
    names: ['ANTHROPIC_BASE_URL', 'ARCHESTRA_ANTHROPIC_BASE_URL'],
    about: 'Where the API of Anthropic is.',
    standard: 'https://api.anthropic.com',
    activeIn: proxy,
    read: httpUrl,
  }),
  geminiBaseUrl: setting({
    names: ['GEMINI_BASE_URL', 'ARCHESTRA_GEMINI_BASE_URL'],
    about: 'Where the API of Google Gemini is, unless Vertex AI is used.',
    standard: 'https://generativelanguage.googleapis.com',
    activeIn: proxy,
    read: httpUrl,
  }),
  vllmBaseUrl: setting({
    names: ['VLLM_BASE_URL', 'ARCHESTRA_VLLM_BASE_URL'],
    about: 'Where a vLLM server is, such as http://localhost:8000/v1.',
    unset: 'no vLLM',
    activeIn: proxy,
    read: httpUrl,
  }),
  ollamaBaseUrl: setting({
    names: ['OLLAMA_BASE_URL', 'ARCHESTRA_OLLAMA_BASE_URL'],
    about: 'Where an Ollama server is.',
    standard: 'http://localhost:11434/v1',
    activeIn: proxy,
    read: httpUrl,
  }),
  vertexAiEnabled: setting({
    names: ['GEMINI_VERTEX_AI_ENABLED', 'ARCHESTRA_GEMINI_VERTEX_AI_ENABLED'],
    about: 'Gemini by Vertex AI, with credentials of Google Cloud in place of an API key.',
    standard: 'false',
    activeIn: proxy,
    read: truth,
  }),
  vertexAiProject: setting({
    names: ['GEMINI_VERTEX_AI_PROJECT', 'ARCHESTRA_GEMINI_VERTEX_AI_PROJECT'],
    about: 'Google Cloud project of Vertex AI. Required with GEMINI_VERTEX_AI_ENABLED.',
    unset: 'none',
    activeIn: proxy,
    read: anyText,
  }),
  vertexAiLocation: setting({
    names: ['GEMINI_VERTEX_AI_LOCATION', 'ARCHESTRA_GEMINI_VERTEX_AI_LOCATION'],
    about: 'Region of Vertex AI.',
    standard: 'us-central1',
    activeIn: proxy,
    read: anyText,
  }),
  vertexAiCredentialsFile: setting({
    names: ['GEMINI_VERTEX_AI_CREDENTIALS_FILE', 'ARCHESTRA_GEMINI_VERTEX_AI_CREDENTIALS_FILE'],
    about: 'JSON key file of a service account for Vertex AI.',
    unset: 'application default credentials',
    activeIn: proxy,
    read: path,
  }),
  globalToolPolicy: setting({
    names: ['GLOBAL_TOOL_POLICY', 'ARCHESTRA_GLOBAL_TOOL_POLICY'],
    about:
      'Tools that no policy speaks of: permissive allows them, restrictive forbids them. A specific policy always wins.',
    standard: 'permissive',
    activeIn: proxy,
    read: oneOf<'permissive' | 'restrictive'>({ permissive: 'permissive', restrictive: 'restrictive' }),
  }),
  chatDefaultProvider: setting({
    names: ['CHAT_DEFAULT_PROVIDER', 'ARCHESTRA_CHAT_DEFAULT_PROVIDER'],
    about: 'Provider of chats and agents that name none: anthropic, openai, gemini, vllm or ollama.',
    standard: 'anthropic',
    activeIn: 'chat',
    read: oneOf({ anthropic: 'anthropic', openai: 'openai', gemini: 'gemini', vllm: 'vllm', ollama: 'ollama' }),
  }),
};

/** The providers whose key the reference names; any other name of letters may stand in their place. */
const namedProviders = ['anthropic', 'openai', 'gemini', 'vllm', 'ollama'];
const moreProviders = [
  ...['azure', 'bedrock', 'cerebras', 'cohere', 'deepseek', 'fireworks', 'groq', 'minimax', 'mistral'],
  ...['openrouter', 'perplexity', 'together', 'xai', 'zhipuai'],
];
const withKeyOfItsOwn = ['anthropic', 'openai'];

/** The name that stands for all of them, on pages. */
export const chatKeyPattern = 'CHAT_<PROVIDER>_API_KEY';
const chatKeyName = /^(?:ARCHESTRA_)?CHAT_([A-Z]+)_API_KEY$/;

/** The providers whose keys there can be a setting for: those that the reference names, and those that are named here. */
export function chatProviders(names: Iterable<string>): readonly string[] {
  const found = [...names].flatMap((name) => chatKeyName.exec(name)?.[1]?.toLowerCase() ?? []);
  return [...new Set([...namedProviders, ...found])];
}

/** The key of a provider that the organization falls back to. */
export function chatKeySetting(provider: string): Setting<Secret | undefined> {
  const name = `CHAT_${provider.toUpperCase()}_API_KEY` as const;
  const own = withKeyOfItsOwn.includes(provider) ? [`${provider.toUpperCase()}_API_KEY`] : [];
  return setting({
    names: [name, `ARCHESTRA_${name}`, ...own],
    about: `Key for ${provider} that the organization falls back to where neither a team nor a person has one.`,
    unset: 'none',
    secret: true,
    activeIn: proxy,
    read: (text, reading) => {
      const similar = nearest(provider, [...namedProviders, ...moreProviders]);
      if (similar !== undefined && similar !== provider)
        reading.warn(`is for a provider ${provider}, which looks like a slip of ${similar}`);
      return secretText(text, reading);
    },
  });
}

/** What one setting of these asks of another. */
export function checkLlm(values: Values<typeof llmRows>, findings: Findings): void {
  if (values.vertexAiEnabled && values.vertexAiProject === undefined)
    findings.fault(
      ['vertexAiProject'],
      'GEMINI_VERTEX_AI_ENABLED is true, but GEMINI_VERTEX_AI_PROJECT is not set; set it to the Google Cloud project',
    );
  if (values.litellmMasterKey !== undefined && values.litellmApiBase === undefined)
    findings.warn('LITELLM_MASTER_KEY is set, but LITELLM_API_BASE is not: there is nothing that the key is for.');
}
