// One WebSocket to the gateway, and another after it: subscriptions outlive connections, and a hole asks for a snapshot.
import { type Message, type Subscription, WRONG_TOKEN } from "./protocol.ts";

/** The part of a browser's WebSocket that is used, so that tests can stand in for the network. */
export interface Socket {
  send(text: string): void;
  close(): void;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
}

export type Connection = "connecting" | "open" | "lost" | "refused";

export interface Hooks {
  open(): Socket;
  /** Called with every message but deltas that are behind a hole. */
  message(message: Message): void;
  state(state: Connection): void;
  token(): string | null;
  later(run: () => void, ms: number): unknown;
  cancel(timer: unknown): void;
}

const FIRST_WAIT = 250;
const LONGEST_WAIT = 4000;
/** The gateway says its status every second: when it has been silent for this long, the connection is dead. */
const SILENCE = 6000;

interface Wanted {
  subscription: Subscription;
  /** Of the last message; null until the snapshot that answers the subscription. */
  seq: number | null;
}

export class Stream {
  readonly #hooks: Hooks;
  readonly #wanted = new Map<string, Wanted>();
  #socket: Socket | null = null;
  #ready = false;
  #wait = FIRST_WAIT;
  #retry: unknown = null;
  #watch: unknown = null;

  constructor(hooks: Hooks) {
    this.#hooks = hooks;
  }

  connect(): void {
    this.#hooks.cancel(this.#retry);
    this.#hooks.state("connecting");
    const socket = this.#hooks.open();
    this.#socket = socket;
    socket.onopen = () => {
      const token = this.#hooks.token();
      if (token !== null) socket.send(JSON.stringify({ type: "auth", token }));
      this.#heard();
    };
    socket.onmessage = (event) => {
      if (this.#socket !== socket) return;
      this.#heard();
      if (typeof event.data === "string") this.#take(JSON.parse(event.data) as Message);
    };
    socket.onclose = (event) => {
      if (this.#socket === socket) this.#lost(event.code);
    };
  }

  /** Subscribe, or change what the same id has; on every later connection as well. */
  subscribe(id: string, subscription: Subscription): void {
    const wanted = { subscription, seq: null };
    this.#wanted.set(id, wanted);
    if (this.#ready) this.#ask(id, wanted);
  }

  unsubscribe(id: string): void {
    if (this.#wanted.delete(id) && this.#ready) this.#socket?.send(JSON.stringify({ type: "unsubscribe", id }));
  }

  #ask(id: string, wanted: Wanted): void {
    wanted.seq = null;
    this.#socket?.send(JSON.stringify({ type: "subscribe", id, ...wanted.subscription }));
  }

  #take(message: Message): void {
    if (message.type === "hello") {
      this.#ready = true;
      this.#wait = FIRST_WAIT;
      this.#hooks.state("open");
      for (const [id, wanted] of this.#wanted) this.#ask(id, wanted);
    } else if (message.type === "snapshot") {
      const wanted = this.#wanted.get(message.id);
      if (wanted === undefined) return;
      wanted.seq = message.seq;
    } else if (message.type === "delta") {
      const wanted = this.#wanted.get(message.id);
      if (wanted === undefined || wanted.seq === null) return;
      if (message.seq !== wanted.seq + 1) {
        this.#ask(message.id, wanted);
        return;
      }
      wanted.seq = message.seq;
    }
    this.#hooks.message(message);
  }

  #heard(): void {
    this.#hooks.cancel(this.#watch);
    this.#watch = this.#hooks.later(() => {
      const socket = this.#socket;
      this.#lost(0);
      socket?.close();
    }, SILENCE);
  }

  #lost(code: number): void {
    this.#hooks.cancel(this.#watch);
    this.#socket = null;
    this.#ready = false;
    if (code === WRONG_TOKEN) {
      this.#hooks.state("refused");
      return;
    }
    this.#hooks.state("lost");
    this.#retry = this.#hooks.later(() => this.connect(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
  }
}
