import { k8s } from 'cdk8s-plus-28';
import type { JobPlan, Plan } from '../plan.ts';
import { podTemplate } from './pod.ts';
import { metadataOf, type Scope, waitsFor } from './scope.ts';
import { addFiles } from './workloads.ts';

const overlaps = { forbid: 'Forbid', allow: 'Allow', replace: 'Replace' } as const;

/** Jobs run once for each change of them, cron jobs by their schedule. */
export function addJobs(scope: Scope): void {
  for (const job of scope.plan.jobs) {
    if (job.schedule === undefined) addJob(scope, job);
    else addCronJob(scope, job, job.schedule);
    addFiles(scope, job);
  }
}

/** Its name gets the digest of what it does at the very end: a Job cannot be changed, so a changed one is a new one. */
function addJob({ chart, plan }: Scope, job: JobPlan): void {
  const metadata = metadataOf(plan, job.name, job.name, waitsFor(job));
  new k8s.KubeJob(chart, `job-${job.name}`, { metadata, spec: jobSpec(plan, job) });
}

function addCronJob({ chart, plan }: Scope, job: JobPlan, schedule: string): void {
  new k8s.KubeCronJob(chart, `cron-job-${job.name}`, {
    metadata: metadataOf(plan, job.name, job.name, waitsFor(job)),
    spec: {
      schedule,
      timeZone: job.timeZone ?? 'Etc/UTC',
      concurrencyPolicy: overlaps[job.overlap],
      // Missed runs are not made up for hours later, and never more than one.
      startingDeadlineSeconds: 300,
      successfulJobsHistoryLimit: 1,
      failedJobsHistoryLimit: 3,
      jobTemplate: { spec: jobSpec(plan, job) },
    },
  });
}

const jobSpec = (plan: Plan, job: JobPlan): k8s.JobSpec => ({
  backoffLimit: job.retries,
  activeDeadlineSeconds: job.timeoutSeconds,
  template: podTemplate(plan, job, 'Never'),
});
