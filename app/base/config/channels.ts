import { anyText, domain, email, httpUrl, oneOf, secretText, truth } from './parse.ts';
import type { Findings, Values } from './setting.ts';
import { setting } from './setting.ts';

const teams = 'ChatOps';
const mail = 'incoming e-mail';
const graph = 'knowledge graph';

/** Agents in Microsoft Teams. */
export const chatopsRows = {
  teamsEnabled: setting({
    names: ['CHATOPS_MS_TEAMS_ENABLED', 'ARCHESTRA_CHATOPS_MS_TEAMS_ENABLED'],
    about: 'Agents can be talked to in Microsoft Teams.',
    standard: 'false',
    activeIn: teams,
    read: truth,
  }),
  teamsAppId: setting({
    names: ['CHATOPS_MS_TEAMS_APP_ID', 'ARCHESTRA_CHATOPS_MS_TEAMS_APP_ID'],
    about: 'Application (client) id of the Azure bot. Required with CHATOPS_MS_TEAMS_ENABLED.',
    unset: 'none',
    activeIn: teams,
    read: anyText,
  }),
  teamsAppSecret: setting({
    names: [
      'CHATOPS_MS_TEAMS_APP_PASSWORD',
      'CHATOPS_MS_TEAMS_APP_SECRET',
      'ARCHESTRA_CHATOPS_MS_TEAMS_APP_PASSWORD',
      'ARCHESTRA_CHATOPS_MS_TEAMS_APP_SECRET',
    ],
    about: 'Client secret of the Azure bot. Required with CHATOPS_MS_TEAMS_ENABLED.',
    unset: 'none',
    secret: true,
    activeIn: teams,
    read: secretText,
  }),
  teamsTenantId: setting({
    names: ['CHATOPS_MS_TEAMS_TENANT_ID', 'ARCHESTRA_CHATOPS_MS_TEAMS_TENANT_ID'],
    about: 'Tenant of a bot for one tenant.',
    unset: 'a bot for every tenant',
    activeIn: teams,
    read: anyText,
  }),
  teamsGraphTenantId: setting({
    names: ['CHATOPS_MS_TEAMS_GRAPH_TENANT_ID', 'ARCHESTRA_CHATOPS_MS_TEAMS_GRAPH_TENANT_ID'],
    about: 'Tenant for Microsoft Graph, by which the history of a conversation is read.',
    unset: 'CHATOPS_MS_TEAMS_TENANT_ID',
    activeIn: teams,
    read: anyText,
  }),
  teamsGraphClientId: setting({
    names: ['CHATOPS_MS_TEAMS_GRAPH_CLIENT_ID', 'ARCHESTRA_CHATOPS_MS_TEAMS_GRAPH_CLIENT_ID'],
    about: 'Application (client) id for Microsoft Graph.',
    unset: 'CHATOPS_MS_TEAMS_APP_ID',
    activeIn: teams,
    read: anyText,
  }),
  teamsGraphClientSecret: setting({
    names: ['CHATOPS_MS_TEAMS_GRAPH_CLIENT_SECRET', 'ARCHESTRA_CHATOPS_MS_TEAMS_GRAPH_CLIENT_SECRET'],
    about: 'Client secret for Microsoft Graph.',
    unset: 'CHATOPS_MS_TEAMS_APP_PASSWORD',
    secret: true,
    activeIn: teams,
    read: secretText,
  }),
};

/** Agents that mails are sent to. */
export const incomingEmailRows = {
  incomingEmailProvider: setting({
    names: ['AGENTS_INCOMING_EMAIL_PROVIDER', 'ARCHESTRA_AGENTS_INCOMING_EMAIL_PROVIDER'],
    about: 'Where mails to agents are read: outlook.',
    unset: 'no mails are read',
    activeIn: mail,
    read: oneOf<'outlook'>({ outlook: 'outlook' }),
  }),
  outlookTenantId: setting({
    names: ['AGENTS_INCOMING_EMAIL_OUTLOOK_TENANT_ID', 'ARCHESTRA_AGENTS_INCOMING_EMAIL_OUTLOOK_TENANT_ID'],
    about: 'Tenant for Microsoft Graph. Required with the provider outlook.',
    unset: 'none',
    activeIn: mail,
    read: anyText,
  }),
  outlookClientId: setting({
    names: ['AGENTS_INCOMING_EMAIL_OUTLOOK_CLIENT_ID', 'ARCHESTRA_AGENTS_INCOMING_EMAIL_OUTLOOK_CLIENT_ID'],
    about: 'Application (client) id. Required with the provider outlook.',
    unset: 'none',
    activeIn: mail,
    read: anyText,
  }),
  outlookClientSecret: setting({
    names: ['AGENTS_INCOMING_EMAIL_OUTLOOK_CLIENT_SECRET', 'ARCHESTRA_AGENTS_INCOMING_EMAIL_OUTLOOK_CLIENT_SECRET'],
    about: 'Client secret. Required with the provider outlook.',
    unset: 'none',
    secret: true,
    activeIn: mail,
    read: secretText,
  }),
  outlookMailbox: setting({
    names: ['AGENTS_INCOMING_EMAIL_OUTLOOK_MAILBOX_ADDRESS', 'ARCHESTRA_AGENTS_INCOMING_EMAIL_OUTLOOK_MAILBOX_ADDRESS'],
    about: 'Mailbox that gets the mails to every agent, by plus-addresses. Required with the provider outlook.',
    unset: 'none',
    activeIn: mail,
    read: email,
  }),
  outlookEmailDomain: setting({
    names: ['AGENTS_INCOMING_EMAIL_OUTLOOK_EMAIL_DOMAIN', 'ARCHESTRA_AGENTS_INCOMING_EMAIL_OUTLOOK_EMAIL_DOMAIN'],
    about: "Domain of agents' addresses.",
    unset: 'that of the mailbox',
    activeIn: mail,
    read: domain,
  }),
  outlookWebhookUrl: setting({
    names: ['AGENTS_INCOMING_EMAIL_OUTLOOK_WEBHOOK_URL', 'ARCHESTRA_AGENTS_INCOMING_EMAIL_OUTLOOK_WEBHOOK_URL'],
    about: 'Public address that Microsoft Graph sends notifications to; with it, Plinth subscribes by itself.',
    unset: 'subscribed by hand',
    activeIn: mail,
    read: httpUrl,
  }),
};

/** Where documents of chats are kept for retrieval. */
export const knowledgeGraphRows = {
  knowledgeGraphProvider: setting({
    names: ['KNOWLEDGE_GRAPH_PROVIDER', 'ARCHESTRA_KNOWLEDGE_GRAPH_PROVIDER'],
    about: 'Knowledge graph that uploaded documents go to: lightrag.',
    unset: 'none',
    activeIn: graph,
    read: oneOf<'lightrag'>({ lightrag: 'lightrag' }),
  }),
  lightragApiUrl: setting({
    names: ['KNOWLEDGE_GRAPH_LIGHTRAG_API_URL', 'ARCHESTRA_KNOWLEDGE_GRAPH_LIGHTRAG_API_URL'],
    about: 'Address of LightRAG. Required with the provider lightrag.',
    unset: 'none',
    activeIn: graph,
    read: httpUrl,
  }),
  lightragApiKey: setting({
    names: ['KNOWLEDGE_GRAPH_LIGHTRAG_API_KEY', 'ARCHESTRA_KNOWLEDGE_GRAPH_LIGHTRAG_API_KEY'],
    about: 'Key for LightRAG, where it asks for one.',
    unset: 'none',
    secret: true,
    activeIn: graph,
    read: secretText,
  }),
};

const channelRows = { ...chatopsRows, ...incomingEmailRows, ...knowledgeGraphRows };

/** What each of the channels needs once it is switched on. */
export function checkChannels(values: Values<typeof channelRows>, findings: Findings): void {
  const need = (because: string, ...fields: (keyof typeof channelRows)[]) => {
    for (const field of fields.filter((each) => values[each] === undefined))
      findings.fault([field], `${channelRows[field].names[0]} is not set; it is required with ${because}`);
  };
  if (values.teamsEnabled) need('CHATOPS_MS_TEAMS_ENABLED=true', 'teamsAppId', 'teamsAppSecret');
  if (values.incomingEmailProvider !== undefined)
    need(
      `AGENTS_INCOMING_EMAIL_PROVIDER=${values.incomingEmailProvider}`,
      ...(['outlookTenantId', 'outlookClientId', 'outlookClientSecret', 'outlookMailbox'] as const),
    );
  if (values.knowledgeGraphProvider !== undefined)
    need(`KNOWLEDGE_GRAPH_PROVIDER=${values.knowledgeGraphProvider}`, 'lightragApiUrl');
}
