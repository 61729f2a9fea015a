import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The changes job on Kafka Streams: one thread, an in-memory store whose changelog writes are conflated by its cache. */
public class KafkaStreamsChanges {
  static final long THRESHOLD = 500;
  static final ObjectMapper JSON = new ObjectMapper();

  static class Emit implements Processor<byte[], byte[], byte[], byte[]> {
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<String, Long> last;

    @Override public void init(ProcessorContext<byte[], byte[]> context) {
      this.context = context;
      last = context.getStateStore("last");
    }

    @Override public void process(Record<byte[], byte[]> record) {
      try {
        JsonNode tick = JSON.readTree(record.value());
        String code = tick.get("code").textValue();
        long price = Math.round(tick.get("price").doubleValue() * 10_000);
        Long previous = last.get(code);
        if (previous != null && Math.abs(price - previous) <= THRESHOLD) return;
        last.put(code, price);
        ObjectNode change = JSON.createObjectNode();
        change.put("code", code).put("price", price).put("previous", previous).put("time", tick.get("time").longValue());
        context.forward(record.withValue(JSON.writeValueAsBytes(change)));
      } catch (java.io.IOException error) {
        throw new java.io.UncheckedIOException(error);
      }
    }
  }

  public static void main(String[] arguments) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, System.getenv("BENCH_GROUP"));
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, System.getenv("BENCH_BOOTSTRAP"));
    settings.put(StreamsConfig.STATE_DIR_CONFIG, System.getenv("BENCH_STATE"));
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    settings.put(StreamsConfig.consumerPrefix("max.poll.records"), 5_000);
    settings.put(StreamsConfig.producerPrefix("batch.size"), 262_144);
    settings.put(StreamsConfig.producerPrefix("linger.ms"), 5);
    Topology topology = new Topology();
    topology.addSource("ticks", Serdes.ByteArray().deserializer(), Serdes.ByteArray().deserializer(), System.getenv("BENCH_INPUT"));
    topology.addProcessor("emit", Emit::new, "ticks");
    topology.addStateStore(Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("last"), Serdes.String(), Serdes.Long()).withCachingEnabled(), "emit");
    topology.addSink("changes", System.getenv("BENCH_OUTPUT"), Serdes.ByteArray().serializer(), Serdes.ByteArray().serializer(), "emit");
    KafkaStreams streams = new KafkaStreams(topology, settings);
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }
}
