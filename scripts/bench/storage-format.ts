/** Objects as kube-apiserver keeps them in etcd: protobuf, not the JSON that its clients read. */

type Field = readonly [number: number, value: number | string | Buffer];

/** In front of every object (k8s.io/apimachinery/pkg/runtime/serializer/protobuf). */
const PREFIX = Buffer.from('k8s\0');
const VARINT = 0;
const LENGTH_DELIMITED = 2;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

/** A message with these fields: whole numbers of zero and more, texts, bytes, and messages. */
export function message(...fields: readonly Field[]): Buffer {
  const parts = fields.flatMap(([number, value]) => {
    if (typeof value === 'number') return [varint((number << 3) | VARINT), varint(value)];
    const bytes = Buffer.from(value);
    return [varint((number << 3) | LENGTH_DELIMITED), varint(bytes.length), bytes];
  });
  return Buffer.concat(parts);
}

/** The value in etcd of an object (runtime.Unknown in k8s.io/apimachinery/pkg/runtime/generated.proto). */
export function stored(apiVersion: string, kind: string, object: Buffer): Buffer {
  return Buffer.concat([PREFIX, message([1, message([1, apiVersion], [2, kind])], [2, object])]);
}
