import { gunzipSync } from 'node:zlib';
import * as wd from 'warpdrive';

const text = Buffer.from('All work and no play makes Jack a dull boy.\n'.repeat(1000));
const packed = await wd.compress(text, { format: 'gzip', level: 6 });

if (packed.isOk()) {
  const { data, via } = packed.value;
  console.log(`${text.length} bytes became ${data.length} on ${via.device}, queue ${via.queue}`);
  console.log(gunzipSync(data).equals(text) ? 'node:zlib agrees' : 'node:zlib disagrees');
} else {
  console.error(packed.error.message);
}
await wd.close();
