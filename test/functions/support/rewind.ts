import type { World } from '../../support/fakes/world.ts';

/** Answers what puts the world back to what it is now, which is quicker than making another. */
export async function rewinder(world: World): Promise<() => Promise<void>> {
  const restore = await world.save();
  return async () => {
    await restore();
    world.bus.hints.length = 0;
    world.bus.crlRequests.length = 0;
    world.log.lines.length = 0;
    for (const channelId of [...world.directory.openChannels.keys()]) {
      await world.directory.stopChannel({ channelId, resourceId: `resource-of-${channelId}` });
    }
  };
}
