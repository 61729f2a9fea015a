//DEPS org.apache.kafka:kafka-clients:4.4.0
//DEPS com.fasterxml.jackson.core:jackson-databind:2.21.7
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Price changes with Kafka's own client: PriceChanges BOOTSTRAP GROUP START, one JSON line a change, until Ctrl-C. */
public class PriceChanges {
    /** Yuan and shares; {@code time} in ms, {@code received} in µs since the epoch. What may be null is an object. */
    record Change(String code, double price, Double previous, Double change, Double changeBp, long time, long received,
            BigDecimal volume, long ticks, double threshold, Origin origin, Cause cause, String quality) {}

    record Origin(int partition, long offset) {}

    /** The tick that caused it: what its ce_id is made of. */
    record Cause(String source, long run, long n, Long received) {}

    static final ObjectMapper JSON = JsonMapper.builder()
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES) // fields are added, never renamed or retyped
            .build();

    public static void main(String[] arguments) throws Exception {
        var consumer = new KafkaConsumer<>(Map.of(
                "bootstrap.servers", arguments[0],
                "group.id", arguments[1],
                "auto.offset.reset", arguments[2], // earliest or latest: where a group begins that is new
                "enable.auto.commit", "false"), new StringDeserializer(), new ByteArrayDeserializer());
        var ended = new AtomicBoolean();
        var reading = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> { // Ctrl-C
            ended.set(true);
            try { reading.join(); } catch (InterruptedException hurried) { }
        }));
        try (consumer) {
            consumer.subscribe(List.of("ashare.price-changes.v1"));
            while (!ended.get()) {
                var records = consumer.poll(Duration.ofMillis(500));
                for (var record : records) {
                    ObjectNode line = JSON.valueToTree(JSON.readValue(record.value(), Change.class));
                    // The same change may come twice, after a crash there or here: drop a ce_id that you have seen.
                    line.put("ce_id", new String(record.headers().lastHeader("ce_id").value()));
                    System.out.println(line);
                }
                if (!records.isEmpty()) consumer.commitSync();
            }
        }
    }
}
