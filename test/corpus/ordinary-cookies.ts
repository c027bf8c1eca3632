import { cookies, get, type OrdinaryRequest, withBody } from './ordinary-request.ts';
import { AFFINITY, SESSION_AFFINITY } from './placeholders.ts';

const COOKIES: readonly OrdinaryRequest[] = [
  ['one', 'a=1'],
  ['several', 'a=1; b=2; c=3'],
  ['several without blanks', 'a=1;b=2;c=3'],
  ['some quoted', 'a="1"; b="x y"; c='],
  ['some without a name or a value', 'a; =b; ; c=1;'],
  ['with odd blanks', ' a=1 ;  b=2;\tc=3 '],
  ['octets above 127', 'a=caf\xc3\xa9; b=\xff'],
  ['the affinity cookie alone', `stickshift=${AFFINITY}`],
  ['the affinity cookie first', `stickshift=${AFFINITY}; a=1; b=2`],
  ['the affinity cookie in the middle', `a=1; stickshift=${AFFINITY}; b=2`],
  ['the affinity cookie last', `a=1; b=2; stickshift=${AFFINITY}`],
  ['the affinity cookie without blanks', `a=1;stickshift=${AFFINITY};b=2`],
  ['the affinity cookie between odd blanks', `a=1 ;  stickshift=${AFFINITY} ;b=2`],
  ['the affinity cookie and a semicolon', `stickshift=${AFFINITY};`],
  ['the affinity cookie twice', `stickshift=${AFFINITY}; a=1; stickshift=${AFFINITY}`],
  ['a forged affinity cookie before a good one', `stickshift=v1.x; a=1; stickshift=${AFFINITY}`],
  ['a quoted affinity cookie', `a=1; stickshift="${AFFINITY}"`],
  ['an empty affinity cookie', 'stickshift=; a=1'],
  ['a forged affinity cookie', `a=1; stickshift=${AFFINITY.replace('}', '}x')}`],
  ['an affinity cookie in other letters', `Stickshift=${AFFINITY}; a=1`],
  ['names that begin or end like the affinity cookie', 'stickshift2=a; xstickshift=b; stickshift-app=c'],
  ['a session', 'sid=known'],
  ['a session and its affinity cookie', `sid=known; stickshift=${SESSION_AFFINITY}`],
  ['a session and the affinity cookie of none', `stickshift=${AFFINITY}; sid=known`],
  ['another session than that of the affinity cookie', `sid=other; stickshift=${SESSION_AFFINITY}`],
  ['an affinity cookie of a session without the session', `stickshift=${SESSION_AFFINITY}`],
  ['a session twice', 'sid=known; a=1; sid=other'],
  ['an empty session', 'sid=; a=1'],
  ['a quoted session', 'sid="known"; a=1'],
  ['a session of 5000 characters', `sid=${'s'.repeat(5_000)}`],
].map(([name = '', value = '']) => ({ name: `cookies: ${name}`, raw: cookies(value) }));

const MORE_COOKIES: readonly OrdinaryRequest[] = [
  { name: 'two Cookie headers', raw: cookies('a=1', `stickshift=${AFFINITY}; b=2`) },
  {
    name: 'three Cookie headers, one with nothing but affinity',
    raw: cookies('a=1', `stickshift=${AFFINITY}`, 'b=2'),
  },
  {
    name: 'two Cookie headers with nothing but affinity',
    raw: cookies(`stickshift=${AFFINITY}`, `stickshift=${AFFINITY}`),
  },
  { name: 'two Cookie headers in two spellings', raw: get('cookie: a=1', 'COOKIE: sid=known') },
  { name: 'an empty Cookie header', raw: cookies('') },
  {
    name: 'a write to a session',
    raw: withBody('POST', 'item=1', `Cookie: sid=known; stickshift=${SESSION_AFFINITY}`),
    methods: ['POST'],
  },
  {
    name: 'a write to a session that is not bound',
    raw: withBody('POST', 'item=1', 'Cookie: sid=unbound'),
    methods: ['POST'],
  },
];

export const ORDINARY_COOKIES: readonly OrdinaryRequest[] = [...COOKIES, ...MORE_COOKIES];
