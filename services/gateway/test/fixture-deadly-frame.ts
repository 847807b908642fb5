/** Loaded into a gateway: reading a frame with this word in it ends the process, as a fault in it would. */
const { parse } = JSON;
JSON.parse = (text: string, reviver?: Parameters<typeof parse>[1]): unknown => {
  if (String(text).includes('deadly-frame')) process.kill(process.pid, 'SIGKILL');
  return parse(text, reviver);
};
