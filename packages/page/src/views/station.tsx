import { answered } from '@khumbu/client/client';
import type { Operation, Station } from '@khumbu/client/generated/rest-api';
import { usePage } from '../context.js';
import { timeText } from '../formats.js';
import { LiveLogs } from '../parts/live-logs.js';
import { MqttFramesSection } from '../parts/mqtt-frames.js';
import { OperationCard } from '../parts/operation.js';
import { StationActions } from '../parts/station-actions.js';
import { en } from '../texts.js';
import { useRead } from '../use-read.js';
import { Presence } from './stations.js';

const SHOWN = 50;

function Facts({ station }: { readonly station: Station }) {
  const texts = en.station;
  const { firmware } = station;
  const facts: readonly (readonly [string, string | undefined])[] = [
    [texts.version, firmware?.version],
    [texts.slot, firmware?.slot],
    [texts.installed, firmware?.installedAt && timeText(firmware.installedAt)],
    [texts.driver, station.driver],
    [texts.dialect, station.dialect],
    [texts.boots, String(station.bootEpoch)],
    [texts.lastBoot, station.bootReason],
    [texts.lastSeen, station.lastSeenAt && timeText(station.lastSeenAt)],
  ];
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value ?? texts.unknown}</dd>
        </div>
      ))}
    </dl>
  );
}

export function StationView({ stationId }: { readonly stationId: string }) {
  const { depot, khumbu, changesOf } = usePage();
  const station = depot.stations.get(stationId);
  const read = async (signal: AbortSignal): Promise<readonly Operation[]> => {
    const query = { station: stationId, limit: SHOWN };
    return (await answered(khumbu.GET('/v1/operations', { params: { query }, signal }))).items;
  };
  const operations = useRead(stationId, read, [changesOf(stationId)]);
  if (!station) return <p>{depot.isLoaded ? en.none.stations : en.loading}</p>;
  // Those under way are told by each event, with their progress.
  const live = new Map(station.operations.map((each) => [each.operationId, each]));
  return (
    <>
      <h1>{stationId}</h1>
      <p>
        <Presence station={station} />
      </p>
      <Facts station={station} />
      <StationActions station={station} />
      <LiveLogs stationId={stationId} />
      <MqttFramesSection stationId={stationId} />
      <section aria-label={en.operations}>
        <h2>{en.operations}</h2>
        {operations?.length === 0 ? <p>{en.none.operations}</p> : null}
        {operations?.map((each) => (
          <OperationCard key={each.operationId} operation={live.get(each.operationId) ?? each} />
        ))}
      </section>
    </>
  );
}
