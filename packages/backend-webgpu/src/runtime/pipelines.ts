/** Compute pipelines by the text of their shaders: programs that have a kernel in common share it. */
import { BanachError } from "@banach/autograd/backend";
import type { Shader } from "../codegen/shader-writer.ts";
import { ShaderStage } from "../platform/constants.ts";

export interface Pipeline {
  readonly gpu: GPUComputePipeline;
  readonly bindings: GPUBindGroupLayout;
}

export class Pipelines {
  private readonly device: GPUDevice;
  private readonly pipelines = new Map<string, Promise<Pipeline>>();
  private readonly layouts = new Map<string, GPUBindGroupLayout>();
  /** Of the uniform that tells a dispatch the counters of the loops around it. */
  readonly counters: GPUBindGroupLayout;

  constructor(device: GPUDevice) {
    this.device = device;
    this.counters = device.createBindGroupLayout({
      label: "loop counters",
      entries: [{ binding: 0, visibility: ShaderStage.COMPUTE, buffer: { type: "uniform", hasDynamicOffset: true } }],
    });
  }

  /** The pipeline of a shader, made when it is first asked for. Rejects with BanachError, with the compiler's messages. */
  get(shader: Shader): Promise<Pipeline> {
    const known = this.pipelines.get(shader.code);
    if (known !== undefined) return known;
    const made = this.make(shader);
    this.pipelines.set(shader.code, made);
    made.catch(() => this.pipelines.delete(shader.code));
    return made;
  }

  private async make({ label, code, bindings, counters }: Shader): Promise<Pipeline> {
    const { device } = this;
    const layout = this.layoutOf(bindings.map(({ isWritten }) => isWritten));
    const groups = counters.length === 0 ? [layout] : [layout, this.counters];
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ label, code });
    const pipeline = device.createComputePipelineAsync({
      label,
      layout: device.createPipelineLayout({ bindGroupLayouts: groups }),
      compute: { module, entryPoint: "main" },
    });
    const scope = device.popErrorScope();
    try {
      const [gpu] = await Promise.all([pipeline, scope]);
      return { gpu, bindings: layout };
    } catch (cause) {
      const { messages } = await module.getCompilationInfo();
      const said = messages.map(({ message, lineNum }) => `line ${lineNum}: ${message}`).join("; ");
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new BanachError(`the device refused the shader ${label}: ${said === "" ? why : said}\n${code}`, { cause });
    }
  }

  /** @param written whether each binding is written */
  private layoutOf(written: readonly boolean[]): GPUBindGroupLayout {
    const key = written.map((isWritten) => (isWritten ? "w" : "r")).join("");
    let layout = this.layouts.get(key);
    if (layout === undefined) {
      layout = this.device.createBindGroupLayout({
        label: key,
        entries: written.map((isWritten, binding) => ({
          binding,
          visibility: ShaderStage.COMPUTE,
          buffer: { type: isWritten ? ("storage" as const) : ("read-only-storage" as const) },
        })),
      });
      this.layouts.set(key, layout);
    }
    return layout;
  }
}
